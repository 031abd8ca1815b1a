import { expect, test } from "vitest";
import type { ClusterView } from "../../src/edge/view.ts";
import { ViewFollower } from "../../src/edge/view-follower.ts";
import { tagOf } from "../../src/model/tag.ts";
import type { NodeRecord } from "../../src/ports/registry.ts";
import { RecordedLog } from "../support/recorded-log.ts";

const lease = 5_000;

function record(name: string): NodeRecord {
  return { name, tag: tagOf(name), incarnation: "i", url: `http://${name}:3000`, state: "up", pid: 1, since: 0 };
}

const three = [record("a"), record("b"), record("c")];

/** A follower of a registry that answers what the test says, looking only when it is told to. */
function follow() {
  let listed: readonly NodeRecord[] = three;
  let time = 0;
  let view: ClusterView | undefined;
  let tellReachable: (reachable: boolean) => void = () => {};
  const follower = new ViewFollower({
    nodes: async () => listed,
    onReachable: (listener) => {
      tellReachable = listener;
      return () => {
        tellReachable = () => {};
      };
    },
    everyMs: 3_600_000,
    times: { lease, goneAfter: 10 * lease },
    now: () => time,
    onView: (seen) => {
      view = seen;
    },
    log: new RecordedLog(),
  });
  follower.start();
  return {
    /** Gives the names of the nodes that are up after a look at that time. */
    async upAt(at: number, nodes: readonly NodeRecord[]): Promise<string> {
      listed = nodes;
      time = at;
      await follower.look();
      return (view?.nodes ?? []).flatMap(({ name, state }) => (state === "up" ? [name] : [])).join();
    },
    lose: () => tellReachable(false),
    find: () => tellReachable(true),
    stop: () => follower.stop(),
  };
}

test("a registry that was lost and is back empty between two looks costs no node that has yet to join again", async () => {
  const cluster = follow();
  expect(await cluster.upAt(0, three)).toBe("a,b,c");
  cluster.lose();
  cluster.find();
  expect(await cluster.upAt(500, three.slice(1, 2))).toBe("a,b,c");
  expect(await cluster.upAt(1_000, three.slice(1))).toBe("a,b,c");
  // Whoever has not joined again after a lease is down after all.
  expect(await cluster.upAt(500 + lease, three.slice(1))).toBe("b,c");
  await cluster.stop();
});

test("while the registry answers, a node that left is down at once", async () => {
  const cluster = follow();
  expect(await cluster.upAt(0, three)).toBe("a,b,c");
  cluster.find();
  expect(await cluster.upAt(500, three.slice(1))).toBe("b,c");
  await cluster.stop();
});
