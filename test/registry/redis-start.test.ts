import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { freePort } from "../support/free-port.ts";
import { startTlsFront, type TlsFront } from "../support/tls-front.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { RegistryChild } from "./child.ts";
import { redisRegistry } from "./redis-backend.ts";

const soon = { deadlines: { start: 700 } };

describe("starting on Redis", () => {
  let open: Valkey;
  let guarded: Valkey;
  let tls: TlsFront;

  beforeAll(async () => {
    open = await startValkey();
    guarded = await startValkey({ args: ["--requirepass", "right"] });
    tls = await startTlsFront(open.port);
  });
  afterAll(async () => {
    await tls?.stop();
    await Promise.all([open?.stop(), guarded?.stop()]);
  });

  test("nobody listens: the error names the address, what happened and what to check", async () => {
    const port = await freePort();
    await expect(redisRegistry(`redis://127.0.0.1:${port}`, soon).start()).rejects.toMatchObject({
      code: "unavailable",
      message: `Redis at redis://127.0.0.1:${port} can't be reached: connect ECONNREFUSED 127.0.0.1:${port}. Check that it runs, and host and port in the URL.`,
    });
  });

  test("a Redis that comes up meanwhile is waited for", async () => {
    const port = await freePort();
    const registry = redisRegistry(`redis://127.0.0.1:${port}`);
    const starting = registry.start();
    const late = await startValkey({ port });
    await starting;
    await registry.stop();
    await late.stop();
  });

  test("somebody listens but never answers: the error comes at the deadline", async () => {
    const mute = createServer().listen(0, "127.0.0.1");
    await once(mute, "listening");
    const port = (mute.address() as AddressInfo).port;
    const before = performance.now();
    await expect(redisRegistry(`redis://127.0.0.1:${port}`, soon).start()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("no answer within 700 ms"),
    });
    expect(performance.now() - before).toBeLessThan(3_000);
    mute.close();
  });

  test.each([
    ["no password", "", "NOAUTH", "It asks for a password"],
    ["a wrong password", ":wrong@", "WRONGPASS", "Check user name and password"],
    ["an unknown user", "nobody:right@", "WRONGPASS", "Check user name and password"],
  ])("%s is refused at once, with the next step", async (_, user, reply, step) => {
    const before = performance.now();
    const refused = redisRegistry(`redis://${user}127.0.0.1:${guarded.port}`).start();
    await expect(refused).rejects.toMatchObject({ code: "refused", message: expect.stringContaining(reply) });
    await expect(refused).rejects.toThrow(step);
    await expect(refused).rejects.not.toThrow("right");
    expect(performance.now() - before).toBeLessThan(3_000);
  });

  test("TLS to a server without it, and no TLS to a server with it, are told apart", async () => {
    const needless = redisRegistry(`rediss://127.0.0.1:${open.port}`, soon).start();
    await expect(needless).rejects.toThrow("use redis:// in place of rediss://");
    const missing = redisRegistry(`redis://127.0.0.1:${tls.port}`, soon).start();
    await expect(missing).rejects.toThrow("use rediss:// in place of redis://");
  });

  test("a certificate that is not trusted is told at once, with the next step", async () => {
    const before = performance.now();
    await expect(redisRegistry(`rediss://127.0.0.1:${tls.port}`).start()).rejects.toThrow("NODE_EXTRA_CA_CERTS");
    expect(performance.now() - before).toBeLessThan(3_000);
  });

  test("a cluster's URL for a single server, and a server that is in no working cluster, say so", async () => {
    const alone = redisRegistry(`redis+cluster://127.0.0.1:${open.port}`).start();
    await expect(alone).rejects.toThrow("Use redis:// in place of redis+cluster://");
    const member = await startValkey({
      args: ["--cluster-enabled", "yes", "--cluster-port", String(await freePort())],
    });
    await expect(redisRegistry(member.url, soon).start()).rejects.toThrow("CLUSTERDOWN");
    await member.stop();
  });

  test("Sentinels that can't tell where the primary is give each one's reason", async () => {
    const port = await freePort();
    const starting = redisRegistry(`redis+sentinel://127.0.0.1:${port},127.0.0.1:${open.port}/trips`, soon).start();
    await expect(starting).rejects.toThrow(`Sentinel 127.0.0.1:${port}: connect ECONNREFUSED`);
    await expect(starting).rejects.toThrow(`Sentinel 127.0.0.1:${open.port}: ERR unknown command`);
  });

  test("a process whose start failed ends by itself", async () => {
    const { status, stdout, stderr, stopMs } = await new RegistryChild(`redis://127.0.0.1:${guarded.port}`).ends();
    expect(stdout).toContain("NOAUTH");
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stopMs).toBeLessThan(1_000);
  });
});
