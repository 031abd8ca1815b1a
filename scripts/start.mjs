// `npm start`: installs what is missing, then runs `mooring up`, with the trips example unless told otherwise.
import { spawn } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { developmentNode, ensureDependencies } from "./install.mjs";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const args = process.argv.slice(2);
const choosesServer = args.some((arg) => arg === "--" || arg === "--server" || arg.startsWith("--server="));
const parent = process.ppid;
const installing = new AbortController();
let cluster;

for (const name of ["SIGTERM", "SIGINT", "SIGHUP"]) {
  process.on(name, () => {
    if (cluster === undefined) installing.abort();
    else cluster.kill(name);
  });
}

try {
  await ensureDependencies({ signal: installing.signal });
} catch (error) {
  if (!installing.signal.aborted) console.error(`npm start: ${error.message}`);
  process.exit(1);
}
// Whoever started this may have ended meanwhile, without a signal.
if (process.ppid !== parent) process.exit(1);

const server = choosesServer ? [] : ["--server", "trips"];
cluster = spawn(developmentNode, [join(root, "src/cli/main.ts"), "up", ...server, ...args], { stdio: "inherit" });
cluster.once("error", (error) => {
  console.error(`npm start: ${developmentNode} did not run: ${error.message}`);
  process.exit(1);
});
cluster.once("exit", (code, signal) => {
  if (signal === null) process.exit(code);
  // Ends as the cluster did.
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
});
