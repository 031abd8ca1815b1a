import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Report } from "../../src/doctor/check.ts";
import { type Cluster, startCluster } from "../cluster/harness.ts";
import { runMooring } from "../cluster/mooring-process.ts";
import { freePort } from "../support/free-port.ts";

describe("mooring doctor, on a cluster of three nodes", () => {
  let cluster: Cluster;
  beforeAll(async () => {
    cluster = await startCluster({ nodes: 3 });
  });
  afterAll(() => cluster?.stop());

  test("finds nothing to mend over HTTPS, and runs every check", async () => {
    const { code, stdout } = await cluster.mooring(
      "doctor",
      cluster.mcps,
      "--ca",
      cluster.ca,
      "--idle",
      "1s",
      "--json",
    );
    const report = JSON.parse(stdout) as Report;
    expect(report.checks.filter(({ result }) => result !== "ok")).toEqual([]);
    expect(report).toMatchObject({ url: cluster.mcps, ok: true });
    expect(code).toBe(0);
  });

  test("finds nothing to mend over HTTP, where the cookie is of no use", async () => {
    const { code, stdout } = await cluster.mooring("doctor", cluster.mcp, "--idle", "1s", "--json");
    const { checks } = JSON.parse(stdout) as Report;
    expect(checks.filter(({ result }) => result !== "ok")).toEqual([
      expect.objectContaining({ id: "cookies", result: "not-run" }),
    ]);
    expect(code).toBe(0);
  });

  test("leaves no session behind", async () => {
    const { stdout } = await cluster.mooring("sessions", "--json");
    expect(JSON.parse(stdout)).toEqual([]);
  });

  test("says without a CA that the certificate is not trusted, and ends with status 1", async () => {
    const { code, stdout } = await cluster.mooring("doctor", cluster.mcps, "--idle", "200ms");
    expect(stdout).toMatch(/^FAILED {3}HTTPS is right$/m);
    expect(stdout).toMatch(/ 1 failed, 0 not run$/m);
    expect(code).toBe(1);
  });
});

describe("mooring doctor", () => {
  test("ends with status 1 where nothing listens", async () => {
    const { code, stdout } = await runMooring(["doctor", `http://127.0.0.1:${await freePort()}/mcp`]);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^FAILED {3}The endpoint answers$/m);
  });

  test.each([
    [["localhost:8080/mcp"], "Give an address that begins with http"],
    [["http://a:b@localhost/mcp"], "Give user and password as a header"],
    [["http://localhost/mcp", "--header", "no colon"], "Give a name and a value"],
    [["http://localhost/mcp", "--idle", "1ms"], "Give a duration from 100ms"],
    [["http://localhost/mcp", "--ca", "/nowhere.pem"], "Give a file in PEM"],
    [[], "missing required argument"],
  ])("ends with status 2 for wrong usage: %j", async (args, words) => {
    const { code, stderr } = await runMooring(["doctor", ...args]);
    expect(stderr).toContain(words);
    expect(code).toBe(2);
  });
});
