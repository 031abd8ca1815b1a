import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { type Serving, serve } from "../support/serving.ts";
import { type CuttingProxy, startCuttingProxy } from "./cutting-proxy.ts";
import { clientV1, clientV2, serverV1, serverV2, type TalkingClient, type TalkingServer } from "./sdk-pairs.ts";

describe.each([
  ["v1", "v1", serverV1, clientV1],
  ["v1", "v2", serverV1, clientV2],
  ["v2", "v1", serverV2, clientV1],
  ["v2", "v2", serverV2, clientV2],
] as const)("a server of SDK %s and an unmodified client of SDK %s", (_server, _client, makeServer, makeClient) => {
  let server: TalkingServer;
  let serving: Serving;
  let proxy: CuttingProxy;
  let client: TalkingClient;

  beforeEach(async () => {
    server = makeServer();
    serving = await serve(server.definition);
    proxy = await startCuttingProxy(serving.url);
    client = await makeClient(`${proxy.url}/mcp`);
  });

  afterEach(async () => {
    await client.close();
    await proxy.stop();
    await serving.stop();
  });

  test("talk in both directions: calls, notifications, sampling and questions", async () => {
    expect(await client.call("sample")).toContain("hello");
    expect(await client.call("ask")).toBe("Ada");
    await client.call("say");
    await eventually(() => expect(client.heard).toEqual(["said"]));
    await client.rootsChanged();
    await eventually(() => expect(server.heard).toEqual(["roots"]));
  });

  test("go on after all connections were cut in the middle of a call", async () => {
    // The standalone stream is opened by the client in the background.
    await eventually(() => expect(serving.node.sessions()[0]?.streams).toBe(1));
    const called = client.call("wait");
    // Without an id of the call's stream the client could not ask again.
    await eventually(() => expect(proxy.hasPassed("id: c")).toBe(true));
    expect(proxy.cut()).toBeGreaterThanOrEqual(2);
    await eventually(() => expect(serving.node.sessions()[0]?.streams).toBe(0));
    server.release();
    expect(await called).toBe("released");
    expect(server.givenUp()).toBe(false);
    await eventually(() => expect(serving.node.sessions()[0]?.streams).toBe(1));
    await client.call("say");
    await eventually(() => expect(client.heard).toEqual(["said"]));
  });

  test("give up a call together when its client does", async () => {
    const abort = new AbortController();
    const called = client.call("wait", abort.signal);
    await eventually(() => expect(serving.node.sessions()[0]?.inFlight).toBe(1));
    abort.abort();
    await expect(called).rejects.toThrow();
    await eventually(() => expect(serving.node.sessions()[0]?.inFlight).toBe(0));
    expect(server.givenUp()).toBe(true);
  });
});
