import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "vitest";
import { renderNginx } from "../../src/edge/nginx.ts";
import { freePort } from "../support/free-port.ts";
import { balancerPromises } from "./balancer-promises.ts";
import { findDebianProgram, runBalancer } from "./run-balancer.ts";

const nginx = await findDebianProgram("nginx", { install: false });

if (nginx === undefined) {
  test("not run: install nginx", () => console.log("nginx' tests: not run: install nginx"));
} else {
  balancerPromises("nginx", async (view, affinity) => {
    const folder = await mkdtemp(join(tmpdir(), "mooring-nginx-"));
    const port = await freePort();
    await writeFile(join(folder, "mooring.conf"), renderNginx(view, { web: `127.0.0.1:${port}`, affinity }));
    const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => {
      return `${kind}_temp_path ${join(folder, kind)};`;
    });
    const main = [
      `daemon off; pid ${join(folder, "pid")}; error_log stderr;`,
      process.getuid?.() === 0 ? "user root;" : "",
      "events {}",
      `http { access_log off; ${temporary.join(" ")} include ${join(folder, "mooring.conf")}; }`,
    ];
    await writeFile(join(folder, "nginx.conf"), main.join("\n"));
    const running = await runBalancer(nginx, ["-e", "stderr", "-p", folder, "-c", join(folder, "nginx.conf")], port);
    return {
      ...running,
      async stop() {
        await running.stop();
        await rm(folder, { recursive: true, force: true });
      },
    };
  });
}
