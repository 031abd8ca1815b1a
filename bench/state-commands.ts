import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "redis";
import type { Children } from "./children.ts";
import { Connection } from "./load/connection.ts";
import type { Tool } from "./load/plan.ts";
import { LoadSession } from "./load/session.ts";
import { startNode } from "./subjects/node.ts";
import { startRegistry } from "./subjects/valkey.ts";

/** What Redis was asked for by so many calls, one after another. Commands of a script count too, each by itself. */
export interface CountedCalls {
  readonly tool: Tool;
  readonly calls: number;
  readonly commands: number;
  readonly byName: Readonly<Record<string, number>>;
}

/** Rarer than the counting takes, so that the node's own signs of life are not in it. */
const seldom = ["--renew", "5min", "--lease", "10min"];
const quietMs = 300;
const quietDeadlineMs = 30_000;
const connectDeadlineMs = 5_000;

/** The commands that calls of one session cost, on a node and a Valkey that do nothing else meanwhile. */
export async function countCommands(children: Children, calls: number): Promise<CountedCalls[]> {
  const valkey = await startRegistry(children);
  const node = await startNode(children, { name: "counted", redis: valkey.url, options: seldom });
  const redis = createClient({
    url: valkey.url,
    socket: { connectTimeout: connectDeadlineMs, reconnectStrategy: false },
  });
  // Its failures reject the commands.
  redis.on("error", () => {});
  await redis.connect();
  const seen = async (): Promise<Map<string, number>> => commandsIn(await redis.info("commandstats"));
  try {
    const url = new URL(`${node.url}/mcp`);
    const connection = new Connection(url);
    const session = await LoadSession.open(url, 0, connection, false);
    const counted: CountedCalls[] = [];
    for (const tool of ["echo", "count"] as const) {
      const before = await whenQuiet(seen);
      for (let call = 0; call < calls; call += 1) {
        await session.ask(connection, tool, tool === "echo" ? { text: `call ${call}` } : {});
      }
      const byName = difference(before, await whenQuiet(seen));
      counted.push({ tool, calls, commands: Object.values(byName).reduce((sum, count) => sum + count, 0), byName });
    }
    connection.close();
    return counted;
  } finally {
    redis.destroy();
  }
}

/** What a call begins may reach Redis after its answer left: waits until nothing more comes. */
async function whenQuiet(seen: () => Promise<Map<string, number>>): Promise<Map<string, number>> {
  const deadline = performance.now() + quietDeadlineMs;
  let before = await seen();
  for (;;) {
    await sleep(quietMs);
    const now = await seen();
    if (Object.keys(difference(before, now)).length === 0) return now;
    if (performance.now() > deadline) throw new Error(`Valkey was never left alone for ${quietMs} ms.`);
    before = now;
  }
}

function difference(before: Map<string, number>, after: Map<string, number>): Record<string, number> {
  const more = [...after].map(([name, count]) => [name, count - (before.get(name) ?? 0)] as const);
  return Object.fromEntries(more.filter(([, count]) => count > 0));
}

/** `cmdstat_get:calls=3,usec=…` a line; without the asking itself. */
function commandsIn(info: string): Map<string, number> {
  const lines = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+)/gm)];
  return new Map(
    lines.map(([, name, count]) => [name as string, Number(count)] as const).filter(([name]) => name !== "info"),
  );
}
