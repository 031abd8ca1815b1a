import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { renderHaproxy } from "../../src/edge/haproxy.ts";
import { freePort } from "../support/free-port.ts";
import { balancerPromises } from "./balancer-promises.ts";
import { findDebianProgram, runBalancer } from "./run-balancer.ts";

const haproxy = await findDebianProgram("haproxy", { install: true });

if (haproxy === undefined) {
  test("not run: install haproxy", () => console.log("HAProxy's tests: not run: install haproxy"));
} else {
  balancerPromises("HAProxy", async (view, affinity) => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-haproxy-"));
    const port = await freePort();
    const file = join(folder, "haproxy.cfg");
    await writeFile(file, renderHaproxy(view, { web: `127.0.0.1:${port}`, affinity }));
    const running = await runBalancer(haproxy, ["-db", "-f", file], port);
    return {
      ...running,
      async stop() {
        await running.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
}
