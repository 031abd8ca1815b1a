import { createClient } from "redis";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { defaultDeadlines } from "../../src/registry/redis/client-settings.ts";
import { parseRedisUrl } from "../../src/registry/redis/redis-url.ts";
import { ServerLink } from "../../src/registry/redis/server-link.ts";
import { Subscription } from "../../src/registry/redis/subscription.ts";
import { eventually } from "../support/eventually.ts";
import { RecordedLog } from "../support/recorded-log.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";

/** Sentinels end the connections to a server that they demote; these hold where nobody does. */
describe("when the primary moves and its connections stay open", () => {
  let former: Valkey;
  let next: Valkey;
  let primary: Valkey;
  const locate = async () => ({ host: "127.0.0.1", port: primary.port });

  beforeEach(async () => {
    [former, next] = await Promise.all([startValkey(), startValkey()]);
    primary = former;
  });
  afterEach(async () => {
    await Promise.all([former.stop(), next.stop()]);
  });

  const settings = () => ({ target: parseRedisUrl(former.url), deadlines: defaultDeadlines });
  const never = new AbortController().signal;

  test("a write that is refused by a replica leads to the new primary", async () => {
    const where = { moves: true, locate, check: async () => {} };
    const link = new ServerLink(settings(), where, { onUp: () => {}, onFailure: () => {}, onNotReplicated: () => {} });
    link.start();
    await eventually(() => link.send("a", ["SET", "a", "1"], never));
    const admin = createClient({ url: former.url });
    await admin.connect();
    await admin.sendCommand(["REPLICAOF", "127.0.0.1", String(next.port)]);
    admin.destroy();
    primary = next;
    await expect(link.send("a", ["SET", "a", "2"], never)).rejects.toMatchObject({ code: "unavailable" });
    await eventually(() => link.send("a", ["SET", "a", "3"], never));
    await link.stop();
  });

  test("the subscriber follows the commands to another primary", async () => {
    const heard: string[] = [];
    let up = 0;
    let again = 0;
    const closes = new Subscription({
      settings: settings(),
      channels: { "mcp:closed": (id) => heard.push(id) },
      locate,
      log: new RecordedLog(),
      onUp: () => {
        up += 1;
      },
      onUpAgain: () => {
        again += 1;
      },
      onFailure: () => {},
    });
    closes.start();
    await eventually(() => expect(up).toBe(1));
    expect(again).toBe(0);
    closes.follow(await locate());
    primary = next;
    closes.follow(await locate());
    await eventually(() => expect(up).toBe(2));
    expect(again).toBe(1);
    const publisher = createClient({ url: next.url });
    await publisher.connect();
    await publisher.publish("mcp:closed", "k3f9q2.a");
    publisher.destroy();
    await eventually(() => expect(heard).toEqual(["k3f9q2.a"]));
    await closes.stop();
  });
});
