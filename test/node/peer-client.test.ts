import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { PeerClient } from "../../src/node/peer-client.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { eventually } from "../support/eventually.ts";
import { FakeOwner, peerSecret } from "./relay-fake-owner.ts";

let now: number;
let peers: PeerClient;
let owner: FakeOwner;

beforeEach(async () => {
  now = Date.UTC(2026, 0, 1);
  peers = new PeerClient({ secret: peerSecret, probeMs: 60_000, now: () => now });
  owner = await FakeOwner.start(
    new MemoryStore(),
    () => now,
    () => {},
  );
});
afterEach(async () => {
  await peers.stop();
  await owner.stop();
});

describe("a sign of life", () => {
  test("is asked for once by all who want it at a time, and then believed, wherever the clock is set", async () => {
    expect(await Promise.all([1, 2, 3].map(() => peers.isAlive(owner.record)))).toEqual([true, true, true]);
    now -= 3_600_000;
    expect(await peers.isAlive(owner.record)).toBe(true);
    expect([owner.asked, owner.connections]).toEqual([1, 1]);
  });

  test("of the last half second, or what the setting says, no longer counts after a clock was set back", async () => {
    const strict = new PeerClient({ secret: peerSecret, probeMs: 0, now: () => now });
    expect(await strict.isAlive(owner.record)).toBe(true);
    now -= 3_600_000;
    expect(await strict.isAlive(owner.record)).toBe(true);
    expect(owner.asked).toBe(2);
    await strict.stop();
  });

  test("is missed within a second or so when the node is frozen, and is no life for who stops meanwhile", async () => {
    owner.silence = new Promise(() => {});
    const began = performance.now();
    expect(await peers.isAlive(owner.record)).toBe(false);
    expect(performance.now() - began).toBeLessThan(2_500);
    // What a former start of the node answers late is no sign of this one.
    peers.saw({ ...owner.record, incarnation: "former" });
    const asking = peers.isAlive(owner.record);
    await eventually(() => expect(owner.asked).toBe(2));
    await peers.stop();
    expect(await asking).toBe(false);
    expect(await peers.isAlive(owner.record)).toBe(false);
    await eventually(async () => expect(await owner.openConnections).toBe(0));
  });

  test("of a former start of a node says nothing of the present one, and keeps its connections", async () => {
    const former = { ...owner.record, incarnation: "former" };
    expect(await peers.isAlive(owner.record)).toBe(true);
    peers.saw(former);
    expect(await peers.isAlive(owner.record)).toBe(true);
    expect([owner.asked, owner.connections]).toEqual([1, 1]);
    peers.keepOnly([]);
    await eventually(async () => expect(await owner.openConnections).toBe(0));
    peers.saw(owner.record);
    expect(await peers.isAlive(owner.record)).toBe(true);
    expect(owner.asked).toBe(2);
  });
});
