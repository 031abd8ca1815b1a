import { createServer, type Server, type ServerResponse } from "node:http";
import { hostname } from "node:os";
import { urlOf } from "../admin/address.ts";
import { listen } from "../admin/listen.ts";
import { createNode } from "../create-node.ts";
import { unfit } from "../edge/view-of.ts";
import { readSettings } from "../model/read-settings.ts";
import { tagOf } from "../model/tag.ts";
import type { MooringNode } from "../mooring-node.ts";
import type { NodeRecord } from "../ports/registry.ts";
import { CommandError } from "./failure.ts";
import { loadServer } from "./load-server.ts";
import { type Options, writtenSettings } from "./node-options.ts";
import { endProcess, logSink, logTo, print, printJson, reportFailure } from "./output.ts";
import { onStopSignals } from "./stop-signals.ts";

/** Longer than Traefik keeps an idle connection: of the two, the node must not be the first to close it. */
const keepAliveMs = 75_000;
const headDeadlineMs = 30_000;
const requestDeadlineMs = 120_000;
/** For answers that are still being read when the node has stopped. */
const lastAnswersMs = 2_000;
const lookEveryMs = 20;

export interface ServeOptions extends Options {
  readonly port: number;
  readonly host: string;
  readonly name?: string;
  readonly redis?: string;
  readonly advertise?: string;
  readonly json?: boolean;
}

/** `mooring serve`: one node, until it is ended. */
export async function runServe(module: string | undefined, options: ServeOptions): Promise<void> {
  const { host, json = false } = options;
  const settings = readSettings(writtenSettings(options), process.env);
  if (module === undefined) {
    throw new CommandError(
      "usage",
      "mooring serve needs a module. Give a file, a package, or trips, yardstick, conformance.",
      2,
    );
  }
  let node: MooringNode | undefined;
  let end: End | undefined;
  let sayCut: (() => void) | undefined;
  // From the very beginning: what nobody handles, the first process of a container never hears of. A node that does not
  // serve yet has nothing to hand over.
  onStopSignals(
    () => (end === undefined ? process.exit(0) : end({ handOver: true })),
    () => {
      sayCut?.();
      process.exit(1);
    },
  );
  const definition = await loadServer(module);

  const server = createServer((request, response) => {
    if (node === undefined) notReady(response);
    else node.handle(request, response);
  });
  server.keepAliveTimeout = keepAliveMs;
  server.headersTimeout = headDeadlineMs;
  server.requestTimeout = requestDeadlineMs;
  const address = await listen(server, { host, port: options.port }, "--port");
  const name = options.name ?? `${hostname()}-${address.port}`;
  const url = options.advertise ?? urlOf(address);
  const redis = options.redis ?? process.env.MOORING_REDIS;
  const log = logTo(logSink(json), { node: name });
  try {
    refuseUnfit(name, url);
    const onLost = (to: NodeRecord) => void endLost({ name, url }, to, json);
    const onRestart = () => endToRestart(end);
    node = await createNode({ ...settings, server: definition, name, url, redis, log, onLost, onRestart });
  } catch (error) {
    server.close();
    server.closeAllConnections();
    throw error;
  }
  end = endOf(node, server);
  sayCut = () => log.warn("node-stopped", { why: "a second signal", sessions: node?.sessions().length });
  endWithStarter(end);
  const ready = { event: "ready", name, tag: node.tag, pid: process.pid, url, admin: node.admin ?? null };
  process.send?.(ready);
  if (json) printJson(ready);
  else print(`${name} (tag ${node.tag}) serves ${url}/mcp${node.admin === undefined ? "" : `, admin ${node.admin}`}`);
}

/** It would serve, and no client would ever be sent to it. */
function refuseUnfit(name: string, url: string): void {
  const why = unfit({ name, tag: tagOf(name), url, state: "up" });
  if (why === undefined) return;
  throw new CommandError("usage", `The edge would leave this node out: ${why}.`, 2);
}

function notReady(response: ServerResponse): void {
  response.writeHead(503, { "Content-Type": "text/plain; charset=utf-8", "Retry-After": "1" });
  response.end("This node is starting.\n");
}

/** Another process serves under this node's name now. All that this one still could do is to mislead. */
async function endLost(own: { name: string; url: string }, to: NodeRecord, json: boolean): Promise<void> {
  const message =
    `Node "${own.name}" at ${own.url} lost its name to another process: one at ${to.url} (pid ${to.pid}) took it when ` +
    "this one had given no sign of life for its lease (frozen, or cut off from the registry). That one serves in its " +
    "place; should both run, start this one under another --name.";
  reportFailure({ code: "node-lost", message, exitCode: 1 }, json || !process.stderr.isTTY);
  await endProcess(1);
}

/** Ends the node, and then the process. */
type End = (how: { readonly handOver: boolean }) => void;

/** An end that may be wanted again meanwhile, and in another way: the node is told, and the process ends once. */
function endOf(node: MooringNode, server: Server): End {
  let ending: Promise<void> | undefined;
  return (how) => {
    if (ending === undefined) ending = stopGracefully(node, server, how);
    else void node.stop(how);
  };
}

/**
 * A node whose starter closes the channel to it ends, and hands nothing over: `mooring up` closes it when the whole
 * cluster ends, and so does the death of `mooring up`.
 */
function endWithStarter(end: End): void {
  const endWithAll = () => end({ handOver: false });
  if (process.send !== undefined && !process.connected) endWithAll();
  else process.once("disconnect", endWithAll);
}

/** An operator asked for it: the node ends as by SIGTERM, and tells who started it that it wants to be started again. */
function endToRestart(end: End | undefined): void {
  // Should the channel close just now, nobody is there any more who could start it.
  if (process.connected) process.send?.({ event: "restarting" }, undefined, undefined, () => {});
  end?.({ handOver: true });
}

async function stopGracefully(node: MooringNode, server: Server, how: { readonly handOver: boolean }): Promise<void> {
  // It goes on listening: until the edge knows that the node is gone, what comes is passed on to others.
  await node.stop(how);
  let closed = false;
  server.close(() => {
    closed = true;
  });
  const deadline = performance.now() + lastAnswersMs;
  while (!closed && performance.now() < deadline) {
    server.closeIdleConnections();
    await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
  }
  await endProcess(0);
}
