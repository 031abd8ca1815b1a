import { type ClusterReady, LocalCluster, StoppedError } from "../local/local-cluster.ts";
import { watchPackageManager } from "../local/parent-watch.ts";
import type { ClusterPorts } from "../local/ports.ts";
import { readSettings } from "../model/read-settings.ts";
import { CommandError } from "./failure.ts";
import { type Options, placedByCluster, writtenSettings } from "./node-options.ts";
import { endProcess, logSink, logTo, print, printJson, table } from "./output.ts";
import { onStopSignals } from "./stop-signals.ts";

export interface UpOptions extends Options {
  readonly nodes: number;
  readonly server: string;
  readonly port: number;
  readonly tlsPort?: number;
  readonly nodePort?: number;
  readonly adminPort?: number;
  readonly consolePort?: number;
  readonly redisPort?: number;
  readonly apiPort?: number;
  readonly redis?: string;
  readonly restart?: boolean;
  readonly json?: boolean;
}

/** `mooring up`: a local cluster, until it is ended. */
export async function runUp(options: UpOptions): Promise<void> {
  const { json = false, nodes, server } = options;
  const written = writtenSettings(options, placedByCluster);
  const settings = readSettings(written, { ...process.env, MOORING_ADMIN: undefined });
  const sink = logSink(json);
  const log = logTo(sink);
  const cluster = new LocalCluster({
    nodes,
    serve: serveCommand(server, written),
    ports: portsOf(options),
    redis: options.redis ?? (process.env.MOORING_REDIS || undefined),
    restart: options.restart === true,
    settings,
    log,
    onLogLine: (line) => sink.write(`${line}\n`),
    shown: !json && process.stderr.isTTY,
  });

  let ending = false;
  const end = () => {
    if (ending) return;
    ending = true;
    void cluster.stop().then(() => endProcess(0));
  };
  watchPackageManager(end);
  onStopSignals(end, () => {
    cluster.kill();
    process.exit(1);
  });

  let ready: ClusterReady;
  try {
    ready = await cluster.start();
  } catch (error) {
    if (error instanceof StoppedError || ending) return;
    ending = true;
    await cluster.stop();
    throw error;
  }
  if (json) printJson(ready);
  else print(readable(ready, server));
  const failure = await cluster.failed;
  if (ending) return;
  ending = true;
  await cluster.stop();
  throw new CommandError("edge-ended", failure.message);
}

/** How `mooring serve` is started: by this very program, however that was started itself. */
function serveCommand(server: string, written: Readonly<Record<string, string | undefined>>) {
  const given = Object.entries(written).flatMap(([flag, value]) => (value === undefined ? [] : [`--${flag}=${value}`]));
  const entry = process.argv[1] ?? "";
  return { command: process.execPath, args: [...process.execArgv, entry, "serve", server, ...given] };
}

function portsOf(options: UpOptions): ClusterPorts {
  const free = options.port === 0;
  const or = (given: number | undefined, usual: number) => given ?? (free ? 0 : usual);
  return {
    web: options.port,
    tls: or(options.tlsPort, 8_443),
    firstNode: or(options.nodePort, 3_001),
    firstAdmin: or(options.adminPort, 9_401),
    console: or(options.consolePort, 9_400),
    redis: or(options.redisPort, 6_390),
    api: or(options.apiPort, 8_081),
  };
}

/** What a person sees when everything serves. */
function readable(ready: ClusterReady, server: string): string {
  const addresses: [string, string][] = [
    ["MCP", ready.mcp],
    ["MCP over HTTPS", ready.mcps],
    ...(ready.graphql === undefined ? [] : [["GraphQL", ready.graphql] as [string, string]]),
    ["Console", ready.console],
    ["CA of HTTPS", ready.ca],
    ["Traefik", `${ready.traefik.version}, API ${ready.traefik.api}`],
    ["Redis", withoutPassword(ready.redis.url)],
  ];
  const nodes = ready.nodes.map(({ name, tag, pid, url, admin }) => [name, tag, String(pid), url, admin]);
  const mooring = import.meta.url.endsWith(".ts") ? "npm run -s mooring --" : "mooring";
  return [
    `${server} is served by ${ready.nodes.length} ${ready.nodes.length === 1 ? "node" : "nodes"}.`,
    "",
    table(["ADDRESS", ""], addresses),
    "",
    table(["NODE", "TAG", "PID", "URL", "ADMIN"], nodes),
    "",
    "Try next, in another terminal:",
    `  ${mooring} nodes`,
    `  ${mooring} sessions`,
    `  NODE_EXTRA_CA_CERTS=${ready.ca} <your client> ${ready.mcps}`,
    "Ctrl-C ends it.",
  ].join("\n");
}

function withoutPassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, "//…@");
}
