import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { registryContract } from "../contracts/registry.ts";
import { startTlsFront, type TlsFront } from "../support/tls-front.ts";
import { startValkey, type Valkey } from "../support/valkey.ts";
import { RegistryChild } from "./child.ts";
import { redisBackend } from "./redis-backend.ts";

/** A server with one user, whose password needs percent-encoding in a URL. */
const config = "user default off\nuser mooring on >p@ss:w/rd ~* &* +@all";
const user = `mooring:${encodeURIComponent("p@ss:w/rd")}`;

registryContract("Redis over TLS, with user name and password", async () => {
  const valkey = await startValkey({ config });
  const front = await startTlsFront(valkey.port);
  const stop = async () => {
    await front.stop();
    await valkey.stop();
  };
  return redisBackend({
    url: `rediss://${user}@localhost:${front.port}`,
    servers: [`redis://${user}@127.0.0.1:${valkey.port}`],
    stop,
    options: { tls: { ca: front.ca } },
  });
});

describe("TLS by URL alone", () => {
  let valkey: Valkey;
  let front: TlsFront;
  let folder: string;

  beforeAll(async () => {
    valkey = await startValkey({ config });
    front = await startTlsFront(valkey.port);
    folder = await mkdtemp(join(tmpdir(), "mooring-ca-"));
    await writeFile(join(folder, "ca.pem"), front.ca);
  });
  afterAll(async () => {
    await front?.stop();
    await valkey?.stop();
    await rm(folder, { recursive: true, force: true });
  });

  test("a CA that NODE_EXTRA_CA_CERTS names is trusted", async () => {
    const env = { NODE_EXTRA_CA_CERTS: join(folder, "ca.pem") };
    const { stdout, stderr } = await new RegistryChild(`rediss://${user}@localhost:${front.port}`, { env }).ends();
    expect(stdout).toContain("claimed");
    expect(stderr).toBe("");
  });

  test("without it, the error says so", async () => {
    const { stdout } = await new RegistryChild(`rediss://${user}@localhost:${front.port}`).ends();
    expect(stdout).toContain("NODE_EXTRA_CA_CERTS");
  });
});
