import { expect, test, vi } from "vitest";
import { mintSessionId } from "../../src/model/session-id.ts";
import type { Exchange } from "../../src/node/exchange.ts";
import { Finder, type FinderParts } from "../../src/node/finder.ts";
import { NodeMetrics } from "../../src/node/metrics.ts";
import { OwnerNotes } from "../../src/node/owner-notes.ts";
import type { RelayOutcome } from "../../src/node/relay.ts";

const home = { tag: "k3f9q2", incarnation: "one" };
const id = mintSessionId(home.tag, Buffer.alloc(18, 1));
const exchange = { method: "POST", sink: { destroyed: false } } as unknown as Exchange;

/** A node that knows of one other, which is up and says these things one after another. */
function finder(...outcomes: RelayOutcome[]) {
  const node = { ...home, name: "home", peer: "http://127.0.0.1:1", direct: true };
  const send = vi.fn(async (_exchange: Exchange, { tag }: { tag: string }) => {
    expect(tag).toBe(home.tag);
    return outcomes.shift() ?? "silent";
  });
  const adopt = vi.fn(async () => ({ kind: "not-now" }));
  const parts = {
    keeper: { get: () => undefined, settled: async () => true, ending: () => undefined, adopt },
    notes: new OwnerNotes(),
    registry: {
      find: async () => ({ id, owner: home, epoch: 4, createdAt: 0, peer: node.peer }),
      node: async () => node,
    },
    nodes: { byTag: () => node },
    relays: { canReach: () => true, send },
    generations: { quiet: false, check: async () => {} },
    promises: { holds: () => false },
    ...{ policy: "resume", holdMs: 0, incarnation: "own", metrics: new NodeMetrics(), now: () => 0 },
  };
  return { finder: new Finder(parts as unknown as FinderParts), send, adopt };
}

const wanted = { id, body: "{}", caller: undefined };

test.each(["not-here", "refused"] as const)(
  "a node that said %s before the registry named it is asked again: it may have taken the session over since",
  async (said) => {
    const { finder: found, send, adopt } = finder(said, "answered");
    expect(await found.find(exchange, wanted)).toEqual({ kind: "relayed", to: home.tag });
    expect(send).toHaveBeenCalledTimes(2);
    expect(adopt).not.toHaveBeenCalled();
  },
);

test("one that says so after the registry named it has given the session up", async () => {
  const { finder: found, adopt } = finder("not-here", "not-here");
  await found.find(exchange, wanted);
  expect(adopt).toHaveBeenCalledWith(id, 4);
});
