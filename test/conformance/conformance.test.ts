import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import conformance from "../../examples/conformance/server.ts";
import { startCluster } from "../cluster/harness.ts";
import { startCookieProxy } from "../support/cookie-proxy.ts";
import { serve } from "../support/serving.ts";
import { startSdkHost } from "./sdk-host.ts";
import { runSuite, type SuiteReport } from "./suite.ts";

const revision = "2025-11-25";

/** The suite's exit status and its own count decide; the figures are printed, for a green run says little by itself. */
function expectAllGreen(where: string, report: SuiteReport): void {
  console.log(
    `conformance ${revision}, ${where}: ${report.passed} passed, ${report.failed} failed, ${report.warnings.length} warnings, ${report.scenarios.length} scenarios`,
  );
  for (const warning of report.warnings) console.log(`  warning: ${warning}`);
  expect(report.failing, report.output).toEqual([]);
  expect(report.exitCode, report.output).toBe(0);
  expect(report.scenarios.length, report.output).toBeGreaterThanOrEqual(30);
}

describe("the official conformance suite finds nothing to fault", () => {
  it("in the example server itself, on the SDK's own transport", async () => {
    const host = await startSdkHost(conformance);
    try {
      expectAllGreen("SDK's transport", await runSuite(host.url, revision));
    } finally {
      await host.stop();
    }
  });

  it("in one node", async () => {
    const serving = await serve(conformance);
    try {
      expectAllGreen("one node", await runSuite(serving.mcp, revision));
    } finally {
      await serving.stop();
    }
  });

  it("in three nodes behind Traefik", async () => {
    const cluster = await startCluster({ nodes: 3, server: "conformance" });
    // The suite keeps no cookies, so the proxy keeps the sticky one of each session.
    const proxy = await startCookieProxy({ target: cluster.mcps, ca: await readFile(cluster.ca) });
    try {
      expectAllGreen("three nodes behind Traefik", await runSuite(proxy.url, revision));
      expect(new Set(proxy.cookies.values()).size, "nodes that the suite's sessions were spread over").toBe(3);
    } finally {
      await proxy.stop();
      await cluster.stop();
    }
  });
});
