import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { type NodeRecord, type Registry, RegistryError } from "../../src/ports/registry.ts";
import { eventually } from "../support/eventually.ts";
import { keptSessionsContract } from "./kept-sessions.ts";
import { newSession } from "./new-session.ts";
import { ownershipContract } from "./ownership.ts";

/** Where a registry's adapter keeps what it knows: a server, a store in memory. */
export interface RegistryBackend {
  /** A registry that was not started, as one node of the cluster in this namespace has it. */
  open(namespace: string): Registry;
  /** Loses all entries of all namespaces, as a server does that comes back empty. */
  lose(): Promise<void>;
  stop(): Promise<void>;
}

function newNode(name: string, overrides: Partial<NodeRecord> = {}): NodeRecord {
  return {
    name,
    tag: `t-${name}`,
    incarnation: "first",
    url: "http://127.0.0.1:3001",
    admin: "http://127.0.0.1:9401",
    peer: "http://127.0.0.1:7001",
    direct: true,
    reads: { oldest: 1, newest: 2 },
    state: "up",
    pid: 4711,
    since: 1_760_000_000_000,
    ...overrides,
  };
}

/** The promises of the registry port. Every adapter keeps all of them. */
export function registryContract(adapter: string, startBackend: () => Promise<RegistryBackend>): void {
  describe(`the registry in ${adapter}`, () => {
    let backend: RegistryBackend;
    let started: Registry[] = [];
    let namespace = "";

    /** Registries of nodes of one cluster, new for each test. */
    async function cluster(size: number, name = namespace): Promise<Registry[]> {
      const registries = Array.from({ length: size }, () => backend.open(name));
      await Promise.all(registries.map((registry) => registry.start()));
      started.push(...registries);
      return registries;
    }

    beforeAll(async () => {
      backend = await startBackend();
    });
    afterAll(async () => {
      await backend?.stop();
    });
    afterEach(async () => {
      await Promise.all(started.map((registry) => registry.stop()));
      started = [];
      namespace = `n${randomBytes(4).toString("hex")}`;
    });

    ownershipContract(cluster, () => backend.lose());
    keptSessionsContract(cluster);

    test("nodes that offer different secrets all get the one that came first", async () => {
      const registries = await cluster(3);
      const got = await Promise.all(registries.map((registry, index) => registry.sharedSecret(`secret-${index}`)));
      expect(new Set(got).size).toBe(1);
      expect(got[0]).toMatch(/^secret-[012]$/);
      expect(await registries[1]?.sharedSecret("later")).toBe(got[0]);
    });

    test("a session that one node claims is found by every node, whole", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const full = newSession({
        epoch: 7,
        peer: "http://127.0.0.1:7001",
        principal: { issuer: "https://issuer.example", subject: "Ünal" },
        journal: { initialize: '{"method":"initialize"}', level: '{"level":"info"}', subscriptions: ["a:b", "☂"] },
        pinned: "it holds a socket",
      });
      const bare = newSession({ client: undefined });
      await one.claim(full);
      await one.claim(bare);
      expect(await other.find(full.id)).toEqual(full);
      expect(await other.find(bare.id)).toEqual(bare);
    });

    test("an id that nobody claimed is not found", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      expect(await registry.find(newSession().id)).toBeUndefined();
    });

    test("what clients call themselves comes back as it was", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const session = newSession({ client: 'ein "Klient" {braces}\r\n% ☂/1.0' });
      await registry.claim(session);
      expect((await registry.find(session.id))?.client).toBe(session.client);
    });

    test("a close removes a session, whoever owns it, and says whether it was there", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const session = newSession();
      await one.claim(session);
      expect(await other.close(session.id)).toBe(true);
      expect(await one.find(session.id)).toBeUndefined();
      expect(await one.close(session.id)).toBe(false);
    });

    test("every node is told of a close, its own included, also when the session was not there", async () => {
      const registries = await cluster(3);
      const heard = registries.map(() => [] as string[]);
      for (const [index, registry] of registries.entries()) registry.onClosed((id) => heard[index]?.push(id));
      const [present, absent] = [newSession(), newSession()];
      await registries[0]?.claim(present);
      await registries[1]?.close(present.id);
      await registries[1]?.close(absent.id);
      for (const ids of heard) await eventually(() => expect(ids.sort()).toEqual([present.id, absent.id].sort()));
    });

    test("by the time a close is told, the session is not found any more", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const session = newSession();
      await one.claim(session);
      const found = new Promise((resolve) => other.onClosed((id) => resolve(other.find(id))));
      await one.close(session.id);
      expect(await found).toBeUndefined();
    });

    test("a listener that was taken back is not told any more", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const [kept, takenBack] = [[] as string[], [] as string[]];
      registry.onClosed((id) => kept.push(id));
      registry.onClosed((id) => takenBack.push(id))();
      await registry.close("k3f9q2.closed");
      await eventually(() => expect(kept).toEqual(["k3f9q2.closed"]));
      expect(takenBack).toEqual([]);
    });

    test("a renewal gives back the ids that are not there, and never creates one", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const [present, closed, never] = [newSession(), newSession(), newSession()];
      await registry.claim(present);
      await registry.claim(closed);
      await registry.close(closed.id);
      expect(await registry.renew([closed.id, present.id, never.id])).toEqual([closed.id, never.id]);
      expect(await registry.find(closed.id)).toBeUndefined();
      expect(await registry.find(never.id)).toBeUndefined();
      expect(await registry.find(present.id)).toEqual(present);
      expect(await registry.renew([])).toEqual([]);
    });

    test("500 claims and closes at once, and a renewal of all, come out right", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const sessions = Array.from({ length: 500 }, () => newSession());
      const half = sessions.slice(0, 250);
      await Promise.all(sessions.map((session) => registry.claim(session)));
      expect(await registry.renew(sessions.map(({ id }) => id))).toEqual([]);
      const closed = await Promise.all(half.map(({ id }) => registry.close(id)));
      expect(closed.every((wasThere) => wasThere)).toBe(true);
      expect(await registry.renew(sessions.map(({ id }) => id))).toEqual(half.map(({ id }) => id));
    });

    test("nodes that joined are listed by name, and found by tag, on every node", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const [b, a] = [
        newNode("b"),
        newNode("a", { admin: undefined, peer: undefined, direct: undefined, state: "draining" }),
      ];
      await one.join(b, 60_000);
      await other.join(a, 60_000);
      expect(await one.nodes()).toEqual([a, b]);
      expect(await other.node(b.tag)).toEqual(b);
      expect(await one.node("absent")).toBeUndefined();
    });

    test("a node that joins again changes its record and keeps its place", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const node = newNode("a");
      expect(await one.join(node, 60_000)).toEqual({ kind: "joined" });
      const draining = newNode("a", { state: "draining", admin: undefined });
      expect(await one.join(draining, 60_000)).toEqual({ kind: "joined" });
      expect(await other.nodes()).toEqual([draining]);
    });

    test("while one incarnation holds a tag no other joins, and it is told who holds it and for how long", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const [first, second] = [newNode("a"), newNode("a", { incarnation: "second", pid: 4712 })];
      await one.join(first, 60_000);
      const held = await other.join(second, 60_000);
      expect(held).toEqual({ kind: "held", by: first, leftMs: expect.any(Number) });
      const { leftMs } = held as { leftMs: number };
      expect(leftMs).toBeGreaterThan(50_000);
      expect(leftMs).toBeLessThanOrEqual(60_000);
      expect(await other.nodes()).toEqual([first]);
      await one.leave(first);
      expect(await other.join(second, 60_000)).toEqual({ kind: "joined" });
      expect(await one.nodes()).toEqual([second]);
    });

    test("of many that want a free tag at once, one joins", async () => {
      const registries = await cluster(3);
      const nodes = registries.map((_, index) => newNode("a", { incarnation: `number ${index}` }));
      const outcomes = await Promise.all(
        nodes.map((node, index) => (registries[index] as Registry).join(node, 60_000)),
      );
      const winner = outcomes.findIndex(({ kind }) => kind === "joined");
      expect(outcomes.filter(({ kind }) => kind === "joined")).toHaveLength(1);
      expect(await registries[0]?.nodes()).toEqual([nodes[winner]]);
    });

    test("a node whose lease ran out is gone, its tag is free, and its renewals are refused", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const [silent, living] = [newNode("silent"), newNode("living")];
      await one.join(silent, 100);
      await one.join(living, 60_000);
      await eventually(async () => expect(await other.nodes()).toEqual([living]));
      expect(await other.node(silent.tag)).toBeUndefined();
      expect(await one.renewLease(silent, 60_000)).toEqual({ kind: "lost", to: undefined });
      expect(await other.nodes()).toEqual([living]);
      expect(await one.join(silent, 60_000)).toEqual({ kind: "joined" });
      expect(await other.nodes()).toEqual([living, silent]);
    });

    test("an incarnation whose tag was taken over can neither renew nor join, and is told by whom", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const [first, second] = [newNode("a"), newNode("a", { incarnation: "second" })];
      await one.join(first, 100);
      await eventually(async () => expect(await other.join(second, 60_000)).toEqual({ kind: "joined" }));
      expect(await one.renewLease(first, 60_000)).toEqual({ kind: "lost", to: second });
      expect(await one.join(first, 60_000)).toMatchObject({ kind: "held", by: second });
      expect(await other.nodes()).toEqual([second]);
      expect(await other.renewLease(second, 60_000)).toEqual({ kind: "renewed" });
    });

    test("a node that renews its lease stays", async () => {
      const [registry] = (await cluster(1)) as [Registry];
      const node = newNode("a");
      await registry.join(node, 400);
      const until = performance.now() + 900;
      while (performance.now() < until) {
        expect(await registry.renewLease(node, 400)).toEqual({ kind: "renewed" });
        expect(await registry.nodes()).toEqual([node]);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    });

    test("a node that leaves is gone at once, but not if another incarnation has joined since", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const [first, second] = [newNode("a"), newNode("a", { incarnation: "second" })];
      await one.join(first, 100);
      await eventually(async () => expect(await other.join(second, 60_000)).toEqual({ kind: "joined" }));
      await one.leave(first);
      expect(await one.nodes()).toEqual([second]);
      await other.leave(second);
      expect(await one.nodes()).toEqual([]);
      expect(await one.node(second.tag)).toBeUndefined();
    });

    test("every node is told when one joins, changes its record or leaves, who left, and by then finds it so", async () => {
      const [one, other] = (await cluster(2)) as [Registry, Registry];
      const seen: string[][] = [];
      const look = async () => void seen.push((await other.nodes()).map(({ name, state }) => `${name} ${state}`));
      other.onNodesChanged(() => void look());
      const left: unknown[] = [];
      one.onNodesChanged((who) => left.push(who));
      const node = newNode("a");
      await one.join(node, 60_000);
      await eventually(() => expect(seen).toEqual([["a up"]]));
      await one.join({ ...node, state: "draining" }, 60_000);
      await eventually(() => expect(seen).toEqual([["a up"], ["a draining"]]));
      // Neither of these changes anything.
      await one.renewLease(node, 60_000);
      await one.leave(newNode("a", { incarnation: "another" }));
      await other.join(newNode("a", { incarnation: "another" }), 60_000);
      await one.leave({ ...node, state: "draining" });
      await eventually(() => expect(seen).toEqual([["a up"], ["a draining"], []]));
      const { tag, incarnation } = node;
      await eventually(() => expect(left).toEqual([undefined, undefined, { tag, incarnation }]));
    });

    test("clusters of different namespaces know nothing of each other", async () => {
      const [ours] = (await cluster(1, "ours")) as [Registry];
      const [theirs] = (await cluster(1, "theirs")) as [Registry];
      const heardByThem: string[] = [];
      theirs.onClosed((id) => heardByThem.push(id));
      theirs.onNodesChanged(() => heardByThem.push("nodes"));
      const session = newSession();
      await ours.claim(session);
      await ours.join(newNode("ours"), 60_000);
      expect(await theirs.find(session.id)).toBeUndefined();
      expect(await theirs.renew([session.id])).toEqual([session.id]);
      expect(await theirs.nodes()).toEqual([]);
      expect(await theirs.close(session.id)).toBe(false);
      expect(await ours.find(session.id)).toEqual(session);
      await ours.close(session.id);
      await theirs.close("k3f9q2.theirs");
      // In no certain order: in a cluster they may come from different servers.
      await eventually(() => expect(heardByThem.toSorted()).toEqual([session.id, "k3f9q2.theirs"].toSorted()));
    });

    test("a registry that was not started, or was stopped, rejects every call and tells nobody anything", async () => {
      const fresh = backend.open(namespace);
      await expect(fresh.find("k3f9q2.x")).rejects.toBeInstanceOf(RegistryError);
      const [stopped, living] = (await cluster(2)) as [Registry, Registry];
      const heard: string[] = [];
      stopped.onClosed((id) => heard.push(id));
      stopped.onNodesChanged(() => heard.push("nodes"));
      await stopped.stop();
      await stopped.stop();
      const calls = [
        stopped.claim(newSession()),
        stopped.find("k3f9q2.x"),
        stopped.owners(["k3f9q2.x"]),
        stopped.write("k3f9q2.x", newSession(), {}),
        stopped.handOver("k3f9q2.x", 1, newSession()),
        stopped.generation(undefined),
        stopped.renew(["k3f9q2.x"]),
        stopped.close("k3f9q2.x"),
        stopped.join(newNode("a"), 1_000),
        stopped.renewLease(newNode("a"), 1_000),
        stopped.leave(newNode("a")),
        stopped.nodes(),
        stopped.node("k3f9q2"),
      ];
      for (const call of calls) await expect(call).rejects.toBeInstanceOf(RegistryError);
      await living.close("k3f9q2.x");
      await living.join(newNode("a"), 60_000);
      expect(heard).toEqual([]);
      await fresh.stop();
    });
  });
}
