import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import type { RawClient } from "../support/raw-client.ts";
import { begin, type ParkingNode, ParkingNodes, rounds, textOf, times } from "./parking-nodes.ts";

let nodes: ParkingNodes;

beforeEach(() => {
  nodes = new ParkingNodes();
});

afterEach(() => nodes.stop());

describe("a session that nobody has used for its whole life", () => {
  async function expectExpired(member: ParkingNode, client: RawClient): Promise<void> {
    await eventually(() =>
      expect(member.log.of("session-closed")).toContainEqual(
        expect.objectContaining({ session: client.session, ending: "expired" }),
      ),
    );
    expect(nodes.epochOf(client)).toBeUndefined();
    const answer = await (await client.startCall("count")).ended();
    expect(answer.status).toBe(404);
    expect(answer.message).toMatchObject({ id: null, error: { data: { reason: "expired", next: "initialize" } } });
  }

  test("ends, in memory or parked or pinned, whatever its server does", async () => {
    const member = await nodes.start();
    const [idle, pinned, working] = [await begin(member), await begin(member), await begin(member)];
    await textOf(pinned, "pin");
    await textOf(working, "own", { on: true });
    await nodes.park(member, idle);
    nodes.pass(times.sessionIdle);
    for (const client of [idle, pinned, working]) await expectExpired(member, client);
    expect(member.node.sessions()).toEqual([]);
    expect(nodes.tasks.every(({ signal }) => signal.aborted)).toBe(true);
  });

  test("ends where nothing is kept, too", async () => {
    const member = await nodes.start("node-1", { policy: "reject" });
    const client = await begin(member);
    nodes.pass(times.sessionIdle);
    await expectExpired(member, client);
  });

  test("goes on as long as its client listens", async () => {
    const member = await nodes.start();
    const client = await begin(member);
    const stream = await client.listen();
    nodes.pass(10 * times.sessionIdle);
    await rounds();
    expect(stream.end).toBe("open");
    expect(await textOf(client, "count")).toBe("1");
    stream.cut();
  });
});
