import { McpServer } from "@modelcontextprotocol/server";
import { defineServer } from "mooring";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import { eventually } from "../support/eventually.ts";
import { RawClient } from "../support/raw-client.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { type Serving, serve } from "../support/serving.ts";

const text = (value: string) => ({ content: [{ type: "text" as const, text: value }] });

/** What is done to a value in place, and what is said of it. */
const spoils: Record<string, readonly [(list: unknown[]) => void, string]> = {
  date: [
    (list) => void list.push(new Date(0)),
    `Session state "list" can't keep its value: value[1] is a Date. State is kept as JSON: keep its toISOString().`,
  ],
  map: [
    (list) => void list.push({ seen: new Map() }),
    `Session state "list" can't keep its value: value[1].seen is a Map. State is kept as JSON: ` +
      "keep an object, or an array of its entries, and make the Map where it is used.",
  ],
  large: [
    (list) => void list.push("x".repeat(1024 * 1024)),
    `Session state "list" can't keep its value: it is larger than 1 MiB as JSON. ` +
      "Keep what is large elsewhere, and its id here; or spread it over several keys.",
  ],
};

const definition = defineServer(({ session }) => {
  const server = new McpServer({ name: "spoilt", version: "1" });
  const list = session.state<unknown[]>("list", []);
  for (const [name, [spoil]] of Object.entries(spoils)) {
    server.registerTool(name, {}, async () => {
      spoil(list.value);
      return text("spoilt");
    });
  }
  server.registerTool("push", {}, async () => text(String(list.value.push("a"))));
  server.registerTool("later", {}, async () => {
    setTimeout(() => list.value.push(1n), 20);
    return text("later");
  });
  return server;
});

// Whoever develops without Redis must meet there what they would meet with it.
describe.each([
  ["without a registry", () => ({})],
  ["whose sessions end with it", () => ({ registry: new MemoryRegistry(), policy: "reject" as const })],
  ["whose sessions outlive it", () => ({ registry: new MemoryRegistry(), policy: "resume" as const })],
])("on a node %s, state that can't be kept", (_kind, options) => {
  const log = new RecordedLog();
  let serving: Serving;
  let client: RawClient;

  const call = async (name: string) => {
    const { result } = (await client.call(name, {})) as { result: { content: { text: string }[]; isError?: boolean } };
    return { said: result.content[0]?.text, isError: result.isError === true };
  };

  beforeEach(async () => {
    serving = await serve(definition, { log, ...options() });
    client = await RawClient.begin(serving.url);
  });
  afterEach(async () => {
    await serving.stop();
    log.lines.length = 0;
  });

  test.each(Object.entries(spoils))(
    "fails the call that made it so in place, and is as before: a %s",
    async (...of) => {
      const [name, [, said]] = of;
      expect(await call("push")).toEqual({ said: "1", isError: false });
      expect(await call(name)).toEqual({ said, isError: true });
      expect(await call("push")).toEqual({ said: "2", isError: false });
    },
  );

  test("is told in the log where it was made so outside calls, and fails no other call", async () => {
    await call("later");
    await eventually(() => expect(log.of("server-error")).toHaveLength(1));
    expect(log.of("server-error")).toMatchObject([
      { session: client.session, error: expect.stringContaining("bigint") },
    ]);
    expect(await call("push")).toEqual({ said: "1", isError: false });
  });
});
