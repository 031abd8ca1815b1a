import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "@modelcontextprotocol/server";
import { afterEach, describe, expect, test } from "vitest";
import type { Lists } from "../../src/ports/registry.ts";
import { defineServer, type ServerDefinition } from "../../src/session/define-server.ts";
import { ListChecks, type ListChecksOptions } from "../../src/session/list-checks.ts";
import { eventually } from "../support/eventually.ts";
import type { FakeSink } from "./fake-sink.ts";
import { KeptSession, messagesOf, type Sdk } from "./kept-session.ts";
import { type Listing, listing } from "./listing-servers.ts";

const open: KeptSession[] = [];
const queues: ListChecks[] = [];

afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
  for (const queue of queues.splice(0)) queue.stop();
});

/** A queue that tells when all is looked at. */
class Queue extends ListChecks {
  added = 0;
  looked = 0;

  constructor(options: ListChecksOptions = {}) {
    super({ pauseMs: 1, betweenMs: 1, againMs: 20, ...options });
    queues.push(this);
  }

  override add({ check, gaveUp }: Parameters<ListChecks["add"]>[0]): void {
    this.added += 1;
    const looked = async () => {
      await check();
      this.looked += 1;
    };
    super.add({ check: looked, gaveUp });
  }
}

const all = { tools: ["a", "b"], resources: ["r"], templates: ["t"], prompts: ["p"] };
const methods = ["tools/list", "resources/list", "resources/templates/list", "prompts/list"];

async function begin(sdk: Sdk, lists: Listing): Promise<KeptSession> {
  const kept = await KeptSession.open(sdk, { definition: listing(sdk, lists) });
  open.push(kept);
  return kept;
}

/** A session that goes on in another server, whose lists have been looked at if the client was given any. */
class Moved {
  readonly kept: KeptSession;
  readonly #stream: FakeSink;

  constructor(kept: KeptSession) {
    this.kept = kept;
    this.#stream = kept.listen();
  }

  /** The methods of what came on its standalone stream. */
  get told(): string[] {
    return messagesOf(this.#stream).flatMap(({ method }) => method ?? []);
  }
}

async function move(former: KeptSession, sdk: Sdk, to: Listing | ServerDefinition): Promise<Moved> {
  await former.crash();
  const definition = "create" in to ? to : listing(sdk, to);
  const listChecks = new Queue();
  const kept = await KeptSession.restore(sdk, former.store.stored, former.stage, { definition, listChecks });
  open.push(kept);
  await eventually(() => expect(listChecks.looked).toBe(listChecks.added));
  return new Moved(kept);
}

const noted = (kept: KeptSession): Lists | undefined => kept.store.stored.record.journal?.lists;
const list = (kept: KeptSession, method: string) => kept.ended(kept.request(method));
async function listAll(kept: KeptSession): Promise<void> {
  for (const method of methods) await list(kept, method);
}
const toolsChanged = "notifications/tools/list_changed";
const resourcesChanged = "notifications/resources/list_changed";
const promptsChanged = "notifications/prompts/list_changed";

describe.each(["v1", "v2"] as const)("a client of a %s server that was given its lists", (sdk) => {
  test("has that noted before it sees them, and each list once", async () => {
    const kept = await begin(sdk, all);
    kept.store.answers = undefined;
    const answer = kept.request("tools/list");
    const write = await kept.store.next();
    expect(write.changes).toEqual({ journal: { lists: { tools: expect.any(String) } } });
    expect(answer.text).toBe("");
    write.end("written");
    await kept.ended(answer);
    kept.store.answers = "written";
    await listAll(kept);
    expect(Object.keys(noted(kept) ?? {})).toEqual(["tools", "resources", "resourceTemplates", "prompts"]);
    const before = kept.store.begun.length;
    await listAll(kept);
    expect(kept.store.begun).toHaveLength(before);
  });

  test("is told nothing when the next server lists the same, in whatever order", async () => {
    const kept = await begin(sdk, all);
    await listAll(kept);
    const moved = await move(kept, sdk, { ...all, tools: ["b", "a"] });
    expect(moved.told).toEqual([]);
    expect(moved.kept.store.begun).toEqual([]);
  });

  test.each<[string, Listing, string[]]>([
    ["one more tool", { ...all, tools: ["a", "b", "c"] }, [toolsChanged]],
    ["one tool less", { ...all, tools: ["a"] }, [toolsChanged]],
    ["another resource", { ...all, resources: ["q"] }, [resourcesChanged]],
    ["another template", { ...all, templates: ["u"] }, [resourcesChanged]],
    ["another resource and another template", { ...all, resources: ["q"], templates: ["u"] }, [resourcesChanged]],
    ["another prompt", { ...all, prompts: ["p", "q"] }, [promptsChanged]],
    [
      "other lists of all kinds",
      { tools: ["z"], resources: ["z"], templates: ["z"], prompts: ["z"] },
      [toolsChanged, resourcesChanged, promptsChanged],
    ],
    ["no tools at all any more, and it could not ask for them", { prompts: ["p", "q"] }, [promptsChanged]],
  ])("is told which have changed: %s", async (_what, lists, told) => {
    const kept = await begin(sdk, all);
    await listAll(kept);
    const moved = await move(kept, sdk, lists);
    await eventually(() => expect(moved.told).toEqual(told));
    await sleep(60);
    expect(moved.told).toEqual(told);
  });

  test("is told nothing of lists that it never asked for", async () => {
    const kept = await begin(sdk, all);
    await list(kept, "prompts/list");
    const moved = await move(kept, sdk, { tools: ["z"], resources: ["z"], prompts: ["p"] });
    expect(moved.told).toEqual([]);
  });

  test("is told again after the next move, until it has asked for the list", async () => {
    const kept = await begin(sdk, { tools: ["a"] });
    await list(kept, "tools/list");
    const newTools = { tools: ["a", "b"], prompts: ["p"] };
    const second = await move(kept, sdk, newTools);
    await eventually(() => expect(second.told).toEqual([toolsChanged]));
    // With this write it is noted that a connection has carried it.
    await list(second.kept, "prompts/list");
    expect(second.kept.store.stored.carried).toBe(1);
    const third = await move(second.kept, sdk, newTools);
    await eventually(() => expect(third.told).toEqual([toolsChanged]));
    await list(third.kept, "tools/list");
    const fourth = await move(third.kept, sdk, newTools);
    expect(fourth.told).toEqual([]);
    const back = await move(fourth.kept, sdk, { tools: ["a"], prompts: ["p"] });
    await eventually(() => expect(back.told).toEqual([toolsChanged]));
  });

  test("is told on any node that it comes back to, if it was not connected", async () => {
    const kept = await begin(sdk, { tools: ["a"] });
    await list(kept, "tools/list");
    await kept.crash();
    const definition = listing(sdk, { tools: ["b"] });
    const second = await KeptSession.restore(sdk, kept.store.stored, kept.stage, {
      definition,
      listChecks: new Queue(),
    });
    open.push(second);
    await eventually(() => expect(second.store.stored.events).toHaveLength(1));
    // It waits for a connection, and is not said once more.
    const third = await move(second, sdk, definition);
    await eventually(() => expect(third.told).toEqual([toolsChanged]));
    expect(third.kept.store.stored.events).toHaveLength(1);
  });

  test("need not be told of what it asks for before it could be", async () => {
    const kept = await begin(sdk, { tools: ["a"] });
    await list(kept, "tools/list");
    await kept.crash();
    const listChecks = new Queue({ pauseMs: 150 });
    const definition = listing(sdk, { tools: ["b"] });
    const next = await KeptSession.restore(sdk, kept.store.stored, kept.stage, { definition, listChecks });
    open.push(next);
    await list(next, "tools/list");
    await eventually(() => expect(listChecks.looked).toBe(1));
    expect(messagesOf(next.listen())).toEqual([]);
  });
});

test("of lists in pages the first one counts, and whether there are more, whatever its cursor", async () => {
  const pages = (items: readonly string[], cursor?: string): ServerDefinition =>
    defineServer(() => {
      const server = new Server({ name: "pages", version: "1" }, { capabilities: { tools: {} } });
      server.setRequestHandler("tools/list", ({ params }) => ({
        tools: (params?.cursor === undefined ? items : ["later"]).map((name) => ({ name, inputSchema })),
        ...(params?.cursor === undefined && cursor !== undefined && { nextCursor: cursor }),
      }));
      return server;
    });
  const inputSchema = { type: "object" as const };
  const kept = await KeptSession.open("v2", { definition: pages(["a"], "one") });
  open.push(kept);
  await list(kept, "tools/list");
  const first = noted(kept);
  await kept.ended(kept.request("tools/list", { cursor: "one" }));
  expect(noted(kept)).toEqual(first);
  const second = await move(kept, "v2", pages(["a"], "two"));
  expect(second.told).toEqual([]);
  const third = await move(second.kept, "v2", pages(["a"]));
  await eventually(() => expect(third.told).toEqual([toolsChanged]));
});

test("a server that fails to give its list is asked again", async () => {
  let asked = 0;
  const failing = defineServer(() => {
    const server = new Server({ name: "failing", version: "1" }, { capabilities: { tools: {}, prompts: {} } });
    server.setRequestHandler("tools/list", () => {
      asked += 1;
      if (asked < 3) throw new Error("not now");
      return { tools: [] };
    });
    server.setRequestHandler("prompts/list", () => ({ prompts: [] }));
    return server;
  });
  const kept = await begin("v2", all);
  await listAll(kept);
  const moved = await move(kept, "v2", failing);
  await eventually(() => expect(moved.told).toEqual([toolsChanged, promptsChanged]));
  expect(asked).toBe(3);
});
