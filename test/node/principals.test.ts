import { afterEach, beforeEach, describe, expect, test } from "vitest";
import yardstick from "../../examples/yardstick/server.ts";
import { RegistryError, type SessionRecord } from "../../src/ports/registry.ts";
import { MemoryRegistry } from "../../src/registry/memory/memory-registry.ts";
import type { ServerDefinition } from "../../src/session/define-server.ts";
import { acceptBoth, initializeBody, RawClient, send } from "../support/raw-client.ts";
import { type ClusterNode, TestCluster } from "./test-cluster.ts";

/** Says who calls by a header, as a proxy before it would. */
const server: ServerDefinition = {
  ...yardstick,
  authenticate: async ({ headers }) =>
    headers["x-user"] === undefined ? undefined : { issuer: "test", subject: String(headers["x-user"]) },
};

/** A registry that doesn't say whose sessions are, when it is told so. */
class Forgetful extends MemoryRegistry {
  failing = false;

  override async find(id: string): Promise<SessionRecord | undefined> {
    if (this.failing) throw new RegistryError("unavailable", "The registry (in a test) is away.");
    return await super.find(id);
  }
}

const as = (user: string) => ({ headers: { "x-user": user } });

let cluster: TestCluster;
let registry: Forgetful;
let home: ClusterNode;
let other: ClusterNode;
let alice: RawClient;

beforeEach(async () => {
  cluster = new TestCluster();
  registry = new Forgetful({ store: cluster.store });
  home = await cluster.start("home", { server, policy: "resume", hold: 300 });
  other = await cluster.start("other", { server, policy: "resume", hold: 300, registry });
  alice = await RawClient.begin(home.url, as("alice"));
  await alice.call("count");
});
afterEach(() => cluster.stop());

/** The same session, by somebody else. */
function bobAt({ url }: ClusterNode) {
  const headers = {
    ...as("bob").headers,
    ...{ accept: acceptBoth, "content-type": "application/json", "mcp-session-id": alice.session },
    "mcp-protocol-version": alice.version,
  };
  const call = { jsonrpc: "2.0", id: 1, method: "tools/call", params: { name: "count", arguments: {} } };
  return {
    call: async () => await (await send(url, { method: "POST", headers, body: JSON.stringify(call) })).ended(),
    delete: async () => await (await send(url, { method: "DELETE", headers })).ended(),
  };
}

const reasonOf = ({ message }: { message: unknown }) =>
  (message as { error?: { data?: { reason?: string } } } | undefined)?.error?.data?.reason;
const value = async (node: ClusterNode) => (await alice.at(node.url).call("count"))?.result?.structuredContent;

test("who doesn't say who calls gets 401, and no session", async () => {
  const headers = { accept: acceptBoth, "content-type": "application/json" };
  const answer = await send(home.url, { method: "POST", headers, body: JSON.stringify(initializeBody()) });
  expect(answer.status).toBe(401);
  expect(answer.headers).toHaveProperty("www-authenticate");
});

describe("for everybody but its principal a session is unknown", () => {
  test("on its node, and on others", async () => {
    for (const node of [home, other]) {
      expect(reasonOf(await bobAt(node).call())).toBe("unknown");
      expect(reasonOf(await bobAt(node).delete())).toBe("unknown");
    }
    expect(await value(other)).toEqual({ value: 2, node: "home" });
  });

  test("after it was handed over", async () => {
    await home.node.drain();
    for (const node of [home, other]) expect(reasonOf(await bobAt(node).call())).toBe("unknown");
    expect(await value(home)).toEqual({ value: 2, node: "other" });
  });

  test("when its node is gone: it doesn't even come back for them", async () => {
    await home.stop({ handOver: false });
    expect(reasonOf(await bobAt(other).call())).toBe("unknown");
    expect(reasonOf(await bobAt(other).delete())).toBe("unknown");
    expect(cluster.find(alice.session)).toMatchObject({ epoch: 1 });
    expect(await value(other)).toEqual({ value: 2, node: "other" });
  });

  test("and while nobody can say whose it is, nobody ends it", async () => {
    await home.stop({ handOver: false });
    registry.failing = true;
    expect(reasonOf(await bobAt(other).delete())).toBe("misrouted");
    registry.failing = false;
    expect(await value(other)).toEqual({ value: 2, node: "other" });
  });
});
