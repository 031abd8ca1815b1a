// Starts a whole cluster with the `mooring` of an installed package, opens a session through it, and stops it.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const startDeadlineMs = 60_000;
const stopDeadlineMs = 20_000;

const initialize = {
  jsonrpc: "2.0",
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "installed", version: "1.0.0" } },
};

export async function tryCluster(folder, environment) {
  const up = spawn(join(folder, "node_modules", ".bin", "mooring"), ["up", "--nodes", "2", "--port", "0", "--json"], {
    cwd: folder,
    // Not where a cluster that runs on this machine already has its state.
    env: { ...environment, XDG_STATE_HOME: join(folder, "state") },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const printed = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"]) {
    up[name].setEncoding("utf8").on("data", (text) => {
      printed[name] = (printed[name] + text).slice(-20_000);
    });
  }
  const closed = once(up, "close");
  const failed = (what) =>
    new Error(`mooring up of the installed package ${what}:\n${printed.stdout}${printed.stderr}`);
  try {
    const deadline = Date.now() + startDeadlineMs;
    while (!printed.stdout.includes("\n")) {
      if (up.exitCode !== null) throw failed("ended at once");
      if (Date.now() > deadline) throw failed(`was not ready within ${startDeadlineMs} ms`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const { mcp, nodes, graphql } = JSON.parse(printed.stdout.split("\n")[0]);
    await expectOk(mcp, initialize);
    await expectOk(graphql, { query: "{ trips { id } }" });
    up.kill("SIGTERM");
    const timer = setTimeout(() => up.kill("SIGKILL"), stopDeadlineMs);
    const [code] = await closed;
    clearTimeout(timer);
    if (code !== 0) throw failed(`did not stop when told to (exit status ${code})`);
    return nodes.length;
  } finally {
    up.kill("SIGKILL");
  }
}

async function expectOk(url, body) {
  const answer = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", accept: "application/json, text/event-stream" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(10_000),
  });
  const text = await answer.text();
  if (!answer.ok || text.includes('"error')) throw new Error(`${url} answered ${answer.status}: ${text}`);
}
