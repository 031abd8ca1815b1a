import { expect, test } from "vitest";
import type { JsonRpcMessage, JsonRpcRequest } from "../../src/session/json-rpc.ts";
import { Repeatable } from "../../src/session/repeatable.ts";

const call = (name: string): JsonRpcRequest => ({ jsonrpc: "2.0", id: 1, method: "tools/call", params: { name } });
const request = (method: string): JsonRpcRequest => ({ jsonrpc: "2.0", id: 1, method });

/** A server that lists these tools, one on each page. */
function listing(tools: readonly { name: string; annotations?: object }[]) {
  const asked: unknown[] = [];
  const ask = async (method: string, params: JsonRpcMessage["params"]): Promise<JsonRpcMessage> => {
    asked.push([method, params]);
    const page = Number(params?.cursor ?? 0);
    const nextCursor = page + 1 < tools.length ? { nextCursor: String(page + 1) } : {};
    return { jsonrpc: "2.0", id: 1, result: { tools: [tools[page]], ...nextCursor } };
  };
  return { asked, ask };
}

test("what may be run again of a server's tools is what it says itself, on any page", async () => {
  const server = listing([
    { name: "reads", annotations: { readOnlyHint: true } },
    { name: "sets", annotations: { idempotentHint: true } },
    { name: "adds", annotations: { readOnlyHint: false, idempotentHint: false } },
    { name: "silent" },
  ]);
  const repeatable = new Repeatable(server.ask);
  expect(repeatable.known(call("reads"))).toBeUndefined();
  await Promise.all([repeatable.learn(), repeatable.learn()]);
  expect(["reads", "sets", "adds", "silent", "unknown"].map((name) => repeatable.known(call(name)))).toEqual([
    true,
    true,
    false,
    false,
    false,
  ]);
  expect(server.asked).toHaveLength(4);
});

test("a server whose tools have changed is asked again", async () => {
  const server = listing([{ name: "a", annotations: { readOnlyHint: true } }]);
  const repeatable = new Repeatable(server.ask);
  const learning = repeatable.learn();
  repeatable.forget();
  await learning;
  expect(repeatable.known(call("a"))).toBeUndefined();
  await repeatable.learn();
  expect(repeatable.known(call("a"))).toBe(true);
});

test("a server that has no tools, or does not say, has none that may be run again", async () => {
  const error = { code: -32601, message: "Method not found" };
  const none = new Repeatable(async () => ({ jsonrpc: "2.0", id: 1, error }));
  const silent = new Repeatable(() => Promise.reject(new Error("no answer")));
  for (const repeatable of [none, silent]) {
    await repeatable.learn();
    expect(repeatable.known(call("a"))).toBe(false);
  }
});

test("a server whose list never ends is not asked for ever", async () => {
  let asked = 0;
  const repeatable = new Repeatable(async () => {
    asked += 1;
    return { jsonrpc: "2.0", id: 1, result: { tools: [], nextCursor: "more" } };
  });
  await repeatable.learn();
  expect(asked).toBe(20);
});

test("of other requests the protocol says it", () => {
  const repeatable = new Repeatable(() => Promise.reject(new Error("never asked")));
  const methods = ["ping", "tools/list", "resources/read", "prompts/get", "resources/subscribe", "custom"];
  expect(methods.map((method) => repeatable.known(request(method)))).toEqual([true, true, true, true, false, false]);
});
