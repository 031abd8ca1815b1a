import { McpServer } from "@modelcontextprotocol/server";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { z } from "zod";
import { defineServer, type NodeOptions, type SessionContext } from "../../src/index.ts";
import type { Clock } from "../../src/ports/clock.ts";
import { MemoryStore } from "../../src/registry/memory/memory-store.ts";
import { FailingRegistry } from "../registry/failing-registry.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient, type RawClientOptions } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, type ServingOptions, serve } from "../support/serving.ts";

const minute = 60_000;

/** Each session is looked at every 0.1 s. */
const times = { parkAfter: 1_000, sessionIdle: 60 * minute };
/** No lease ends by the time that a test lets pass. */
const lease = 7 * 24 * 60 * minute;

/** A clock that only the test moves, so that no session is idle before its time on a busy machine. */
let now: number;
const clock: Clock = { now: () => now };
const pass = (ms: number) => {
  now += ms;
};

/** What a test sees of the sessions' servers, on all nodes together. */
let contexts: SessionContext[];
let tasks: { readonly restored: boolean; readonly signal: AbortSignal }[];
/** Lets the restoring of sessions wait. */
let gate: Promise<void>;

const server = defineServer(
  async ({ session }) => {
    await gate;
    contexts.push(session);
    const mcp = new McpServer({ name: "parking", version: "1" }, { capabilities: { logging: {} } });
    const count = session.state("count", 0);
    session.task("auto", async (task) => {
      tasks.push(task);
      await new Promise((resolve) => task.signal.addEventListener("abort", resolve));
    });
    const own = session.task(
      "own",
      ({ signal }) => new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve())),
      { auto: false },
    );
    const say = (text: string) => ({ content: [{ type: "text" as const, text }] });
    mcp.registerTool("count", {}, async () => {
      count.value += 1;
      return say(String(count.value));
    });
    mcp.registerTool("announce", { inputSchema: z.object({ n: z.number() }) }, async ({ n }) => {
      await mcp.server.notification({ method: "notifications/message", params: { level: "info", data: { n } } });
      return say("announced");
    });
    mcp.registerTool("own", { inputSchema: z.object({ on: z.boolean() }) }, async ({ on }) => {
      if (on) own.start();
      else own.stop();
      return say("done");
    });
    mcp.registerTool("pin", {}, async () => {
      session.pin("holds a child process");
      return say("pinned");
    });
    return mcp;
  },
  {
    authenticate: ({ headers }) => ({ issuer: "test", subject: String(headers["x-user"] ?? "anybody") }),
  },
);

interface Member extends Serving {
  readonly log: RecordedLog;
  readonly registry: FailingRegistry;
}

let store: MemoryStore;
let members: Member[];

async function start(name = "node-1", options: ServingOptions & Partial<NodeOptions> = {}): Promise<Member> {
  const registry = new FailingRegistry({ store });
  const log = new RecordedLog();
  const serving = await serve(server, {
    ...{ name, registry, log, clock, renew: 100, lease, ...times },
    ...options,
  });
  const member = { ...serving, registry, log };
  members.push(member);
  return member;
}

beforeEach(() => {
  store = new MemoryStore();
  members = [];
  now = Date.now();
  contexts = [];
  tasks = [];
  gate = Promise.resolve();
});

afterEach(async () => {
  await Promise.all(members.map((member) => member.stop()));
});

const begin = ({ url }: Serving, options?: RawClientOptions) => RawClient.begin(url, options);
const epochOf = (client: RawClient) => store.find(client.session, Date.now())?.epoch;
const textOf = async (client: RawClient, name: string, args = {}) =>
  ((await client.call(name, args))?.result?.content as { text: string }[] | undefined)?.[0]?.text;

/** The session is idle for long enough, and leaves memory. */
async function parked({ node, log }: Member, ...clients: RawClient[]): Promise<void> {
  pass(times.parkAfter);
  await eventually(() => {
    for (const { session } of clients) {
      expect(log.of("session-parked").map((fields) => fields.session)).toContain(session);
      expect(node.sessions().map(({ id }) => id)).not.toContain(session);
    }
  });
}

/** For some rounds of the walk: long enough for what must not happen. */
const rounds = () => new Promise((resolve) => setTimeout(resolve, 400));

describe("a session that nobody uses", () => {
  test("leaves memory with all that it had, and goes on with its next request", async () => {
    const member = await start();
    const client = await begin(member);
    expect(await textOf(client, "count")).toBe("1");
    await parked(member, client);
    expect(contexts[0]?.signal.aborted).toBe(true);
    expect(tasks[0]?.signal.reason).toMatchObject({ reason: "parked" });
    expect(store.find(client.session, Date.now())).toMatchObject({ epoch: 1, owner: { tag: member.node.tag } });
    expect(await textOf(client, "count")).toBe("2");
    expect(epochOf(client)).toBe(2);
    expect(tasks.at(-1)).toMatchObject({ restored: true });
    expect(member.log.of("session-unparked")).toMatchObject([{ session: client.session, epoch: 2 }]);
  });

  test("does so again and again", async () => {
    const member = await start();
    const client = await begin(member);
    for (let value = 1; value <= 4; value += 1) {
      expect(await textOf(client, "count")).toBe(String(value));
      pass(times.parkAfter);
      await eventually(() => expect(member.log.of("session-parked")).toHaveLength(value));
    }
    expect(epochOf(client)).toBe(4);
  });

  test("stays while its client listens, and is not taken for idle when that has just ended", async () => {
    const member = await start();
    const client = await begin(member);
    const stream = await client.listen();
    const before = now;
    pass(10 * times.parkAfter);
    await rounds();
    // Its entry in the registry is renewed by this, too.
    expect(member.node.sessions()[0]?.lastSeenAt).toBe(before + 10 * times.parkAfter);
    stream.cut();
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
    await parked(member, client);
  });

  test("stays while a task goes on that its server started, or while it is pinned", async () => {
    const member = await start();
    const [working, pinned] = [await begin(member), await begin(member)];
    await textOf(working, "own", { on: true });
    await textOf(pinned, "pin");
    pass(10 * times.parkAfter);
    await rounds();
    expect(member.log.of("session-parked")).toEqual([]);
    await textOf(working, "own", { on: false });
    await parked(member, working);
    expect(member.node.sessions().map(({ id }) => id)).toEqual([pinned.session]);
  });

  test.each([
    ["where a session ends with its node", { policy: "reject" as const }],
    ["where that is off", { parkAfter: 0 }],
  ])("stays %s", async (_where, options) => {
    const member = await start("node-1", options);
    await begin(member);
    pass(10 * minute);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
  });

  test("stays where the registry is in the node's own memory", async () => {
    const log = new RecordedLog();
    const serving = await serve(server, { log, clock, ...times });
    try {
      await RawClient.begin(serving.url);
      pass(10 * minute);
      await rounds();
      expect(serving.node.sessions()).toHaveLength(1);
    } finally {
      await serving.stop();
    }
  });
});

describe("a parked session is found at once", () => {
  test("by many requests in one moment, for which it is restored once", async () => {
    const member = await start();
    const client = await begin(member);
    await parked(member, client);
    const texts = await Promise.all(Array.from({ length: 20 }, () => textOf(client, "count")));
    expect(texts.map(Number).sort((a, b) => a - b)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1));
    expect(epochOf(client)).toBe(2);
  });

  test("by a request that comes while it leaves, which waits for that", async () => {
    const member = await start();
    const client = await begin(member);
    await textOf(client, "count");
    let open = () => {};
    member.registry.gate = new Promise((resolve) => {
      open = resolve;
    });
    pass(times.parkAfter);
    await eventually(() => expect(member.registry.calls).toContain(`write ${client.session}`));
    const writes = member.registry.calls.length;
    await eventually(() => expect(tasks[0]?.signal.aborted).toBe(true));
    const answers = Promise.all([textOf(client, "count"), textOf(client, "count")]);
    await rounds();
    expect(member.registry.calls.slice(writes).filter((call) => call.startsWith("hand over"))).toEqual([]);
    open();
    expect((await answers).sort()).toEqual(["2", "3"]);
    expect(member.log.of("session-parked")).toHaveLength(1);
  });

  test("by a close that comes while it leaves, after which nothing of it goes on", async () => {
    const member = await start();
    const client = await begin(member);
    let open = () => {};
    member.registry.gate = new Promise((resolve) => {
      open = resolve;
    });
    pass(times.parkAfter);
    await eventually(() => expect(member.registry.calls).toContain(`write ${client.session}`));
    const closed = member.node.close(client.session);
    open();
    expect(await closed).toBe(true);
    await rounds();
    expect(member.log.of("session-parked")).toEqual([]);
    expect(member.log.of("session-closed")).toMatchObject([{ ending: "closed" }]);
    expect(tasks.map(({ signal }) => signal.aborted)).toEqual([true]);
    expect(await member.node.hasSession(client.session)).toBe(false);
  });

  test.each(["this", "another"])(
    "by a close at %s node that comes while it comes back, and it is gone then",
    async (at) => {
      const members = [await start(), await start("node-2")] as const;
      const client = await begin(members[0]);
      await parked(members[0], client);
      let open = () => {};
      gate = new Promise((resolve) => {
        open = resolve;
      });
      const calling = client.call("count");
      await eventually(() => expect(epochOf(client)).toBe(2));
      expect(await (at === "this" ? members[0] : members[1]).node.close(client.session)).toBe(true);
      open();
      expect((await calling)?.error?.data).toMatchObject({ reason: "closed" });
      expect(members[0].node.sessions()).toEqual([]);
      expect(tasks.map(({ signal }) => signal.aborted)).not.toContain(false);
    },
  );

  test("by a client that asks for the rest of its stream", async () => {
    const member = await start();
    const client = await begin(member);
    const stream = await client.listen();
    for (const n of [1, 2]) await textOf(client, "announce", { n });
    await stream.received(2);
    expect(stream.lastEventId).toBe("s-2");
    stream.cut();
    await rounds();
    await parked(member, client);
    const rest = await client.listen("s-1");
    expect((await rest.received(1))[0]).toMatchObject({ params: { data: { n: 2 } } });
    rest.cut();
  });

  test("by hasSession, which does not bring it back", async () => {
    const member = await start();
    const client = await begin(member);
    await parked(member, client);
    expect(await member.node.hasSession(client.session)).toBe(true);
    expect(epochOf(client)).toBe(1);
    const other = await start("node-2");
    expect(await other.node.hasSession(client.session)).toBe(false);
    expect(other.log.of("misrouted")).toMatchObject([{ session: client.session, owner: member.node.tag }]);
    store.lose();
    expect(await member.node.hasSession(client.session)).toBe(false);
  });

  test("by its own client only", async () => {
    const member = await start();
    const client = await begin(member, { headers: { "x-user": "alice" } });
    await parked(member, client);
    const thief = RawClient.prototype.at.call(await begin(member, { headers: { "x-user": "bob" } }), member.url);
    const headers = { "mcp-session-id": client.session };
    const answer = await (await thief.post({ jsonrpc: "2.0", id: 1, method: "ping" }, headers)).ended();
    expect(answer.status).toBe(404);
    expect(answer.message).toMatchObject({ error: { data: { reason: "unknown" } } });
    expect(epochOf(client)).toBe(1);
    expect(await textOf(client, "count")).toBe("1");
  });

  test("by a close, which need not bring it back first", async () => {
    const member = await start();
    const [one, two] = [await begin(member), await begin(member)];
    await parked(member, one, two);
    expect((await one.delete()).status).toBe(200);
    expect(await member.node.close(two.session)).toBe(true);
    expect(contexts).toHaveLength(2);
    for (const client of [one, two]) {
      expect(epochOf(client)).toBeUndefined();
      const answer = await (await client.startCall("count")).ended();
      expect(answer.message).toMatchObject({ id: null, error: { data: { reason: "closed" } } });
    }
  });
});

describe("a parked session of which another node gets a request", () => {
  async function pair(): Promise<[Member, Member]> {
    const [one, two] = [await start("node-1"), await start("node-2")];
    await eventually(async () => expect(await two.node.nodes()).toHaveLength(2));
    return [one, two];
  }

  test("comes back on its owner, whichever its home is", async () => {
    const [one, two] = await pair();
    const client = await begin(one);
    await parked(one, client);
    expect(await textOf(client.at(two.url), "count")).toBe("1");
    expect(one.node.sessions()).toHaveLength(1);
    expect(two.node.sessions()).toEqual([]);
    expect(epochOf(client)).toBe(2);
  });

  test("is closed there, without coming back", async () => {
    const [one, two] = await pair();
    const client = await begin(one);
    await parked(one, client);
    expect((await client.at(two.url).delete()).status).toBe(200);
    expect(contexts).toHaveLength(1);
    expect(epochOf(client)).toBeUndefined();
    const answer = await (await client.startCall("count")).ended();
    expect(answer.message).toMatchObject({ error: { data: { reason: "closed" } } });
  });

  test("is nobody else's there either", async () => {
    const [one, two] = await pair();
    const client = await begin(one, { headers: { "x-user": "alice" } });
    await parked(one, client);
    const headers = { "mcp-session-id": client.session, "x-user": "bob" };
    const bob = await begin(two, { headers: { "x-user": "bob" } });
    const answer = await (await bob.post({ jsonrpc: "2.0", id: 1, method: "ping" }, headers)).ended();
    expect(answer.message).toMatchObject({ error: { data: { reason: "unknown" } } });
    expect(epochOf(client)).toBe(1);
  });

  test("is adopted there when its owner is gone", async () => {
    const [one, two] = await pair();
    const client = await begin(one);
    await textOf(client, "count");
    await parked(one, client);
    await one.stop();
    members.shift();
    expect(await textOf(client.at(two.url), "count")).toBe("2");
    expect(two.log.of("session-adopted")).toMatchObject([{ session: client.session }]);
  });

  test("is left alone by the node that had parked it once another one has adopted it", async () => {
    const [one, two] = [await start("node-1", { relay: "off" }), await start("node-2", { relay: "off" })];
    const client = await begin(one);
    await parked(one, client);
    const { epoch } = store.find(client.session, Date.now()) as { epoch: number };
    // As when its owner could not be reached for a moment.
    const record = store.handOver(
      client.session,
      epoch,
      { owner: { tag: two.node.tag, incarnation: two.node.incarnation } },
      Date.now(),
    );
    expect(record.kind).toBe("handed-over");
    pass(times.sessionIdle);
    await rounds();
    expect(epochOf(client)).toBe(2);
    expect(one.log.of("session-closed")).toEqual([]);
  });
});

describe("a session that can't be written", () => {
  test("stays, with its tasks, and leaves once it can", async () => {
    const member = await start();
    const client = await begin(member);
    await textOf(client, "count");
    await eventually(() => expect(tasks).toHaveLength(1));
    member.registry.failure = "unavailable";
    pass(times.parkAfter);
    await eventually(() => expect(member.log.of("session-not-parked")).toHaveLength(1));
    await eventually(() => expect(tasks).toHaveLength(2));
    expect(tasks[1]).toMatchObject({ restored: true });
    expect(member.node.sessions()).toHaveLength(1);
    // Not tried again and again meanwhile.
    pass(times.parkAfter);
    await rounds();
    expect(member.log.of("session-not-parked")).toHaveLength(1);
    member.registry.failure = undefined;
    member.registry.tellReachable(true);
    await parked(member, client);
    expect(await textOf(client, "count")).toBe("2");
  });

  test("stays while the registry may lack what it had", async () => {
    const member = await start();
    await begin(member);
    store.lose();
    await eventually(() => expect(member.log.of("registry-lost-entries")).toHaveLength(1));
    pass(10 * times.parkAfter);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
  });

  test("stays while the registry is away, without an attempt", async () => {
    const member = await start();
    const client = await begin(member);
    member.registry.tellReachable(false);
    pass(10 * times.parkAfter);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
    member.registry.tellReachable(true);
    await parked(member, client);
  });

  test("stays while its beginning waits to be written", async () => {
    const soon = { lease: 1_500, renew: 100 };
    const member = await start("node-1", soon);
    // A node that knows that it is alone begins sessions also while the registry is away.
    await new Promise((resolve) => setTimeout(resolve, soon.lease + 3 * soon.renew));
    member.registry.failsLeases = true;
    member.registry.failure = "unavailable";
    const client = await begin(member);
    member.registry.failure = undefined;
    pass(times.parkAfter);
    await rounds();
    expect(member.node.sessions()).toHaveLength(1);
    member.registry.tellReachable(true);
    await parked(member, client);
  });
});

describe("a session that nobody has used for its whole life", () => {
  async function expectExpired(member: Member, client: RawClient): Promise<void> {
    await eventually(() =>
      expect(member.log.of("session-closed")).toContainEqual(
        expect.objectContaining({ session: client.session, ending: "expired" }),
      ),
    );
    expect(epochOf(client)).toBeUndefined();
    const answer = await (await client.startCall("count")).ended();
    expect(answer.status).toBe(404);
    expect(answer.message).toMatchObject({ id: null, error: { data: { reason: "expired", next: "initialize" } } });
  }

  test("ends, in memory or parked or pinned, whatever its server does", async () => {
    const member = await start();
    const [idle, pinned, working] = [await begin(member), await begin(member), await begin(member)];
    await textOf(pinned, "pin");
    await textOf(working, "own", { on: true });
    await parked(member, idle);
    pass(times.sessionIdle);
    for (const client of [idle, pinned, working]) await expectExpired(member, client);
    expect(member.node.sessions()).toEqual([]);
    expect(tasks.every(({ signal }) => signal.aborted)).toBe(true);
  });

  test("ends where nothing is kept, too", async () => {
    const member = await start("node-1", { policy: "reject" });
    const client = await begin(member);
    pass(times.sessionIdle);
    await expectExpired(member, client);
  });

  test("goes on as long as its client listens", async () => {
    const member = await start();
    const client = await begin(member);
    const stream = await client.listen();
    pass(10 * times.sessionIdle);
    await rounds();
    expect(stream.end).toBe("open");
    expect(await textOf(client, "count")).toBe("1");
    stream.cut();
  });
});

describe("many idle sessions", () => {
  test("leave memory a few at a time, and hold no request up", async () => {
    const member = await start();
    const clients = await Promise.all(Array.from({ length: 40 }, () => begin(member)));
    let open = () => {};
    member.registry.gate = new Promise((resolve) => {
      open = resolve;
    });
    const before = member.registry.calls.length;
    pass(times.parkAfter);
    const begun = () => member.registry.calls.slice(before).filter((call) => call.startsWith("write"));
    await eventually(() => expect(begun().length).toBeGreaterThanOrEqual(4));
    await rounds();
    const writes = begun();
    expect(writes).toHaveLength(4);
    // Those whose turn has not come are served meanwhile.
    const waiting = clients.find(({ session }) => !writes.includes(`write ${session}`)) as RawClient;
    const answer = await waiting.startCall("own", { on: false });
    expect(answer.status).toBe(200);
    open();
    await eventually(() => expect(member.log.of("session-parked").length).toBeGreaterThanOrEqual(39));
  });
});
