import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Client } from "./client-settings.ts";
import { isReply } from "./failure.ts";

/** One Lua script: one atomic verb, within one slot of Redis Cluster. What it takes and gives stands at its head. */
export interface Script {
  readonly source: string;
  /** What EVALSHA calls it by. */
  readonly sha: string;
}

function load(file: string): Script {
  const source = readFileSync(new URL(file, import.meta.url), "utf8");
  return { source, sha: createHash("sha1").update(source).digest("hex") };
}

export const scripts = {
  claim: load("./claim.lua"),
  write: load("./write.lua"),
  handOver: load("./hand-over.lua"),
  renew: load("./renew.lua"),
  close: load("./close.lua"),
  generation: load("./generation.lua"),
  join: load("./join.lua"),
  indexNode: load("./index-node.lua"),
  renewLease: load("./renew-lease.lua"),
  leave: load("./leave.lua"),
  forgetNodes: load("./forget-nodes.lua"),
} as const satisfies Record<string, Script>;

/** Puts the scripts into a server's cache, so that each verb is one command from the first time on. */
export async function loadScripts(client: Client): Promise<void> {
  const loads = Object.values(scripts).map(({ source }) => client.sendCommand(["SCRIPT", "LOAD", source]));
  for (const { status, reason } of (await Promise.allSettled(loads)) as PromiseRejectedResult[]) {
    // A user without the right to load scripts may still run them: they are sent whole then.
    if (status === "rejected" && !isReply(reason)) throw reason;
  }
}

/** Sends a command that the key decides the way of. */
export type Send = (key: string, command: readonly string[]) => Promise<unknown>;

/** Runs a script by its name, and by its text on a server that does not know it (any more). All keys are of one slot. */
export async function runScript(
  send: Send,
  { sha, source }: Script,
  keys: readonly [string, ...string[]],
  args: readonly string[],
): Promise<unknown> {
  const rest = [String(keys.length), ...keys, ...args];
  try {
    return await send(keys[0], ["EVALSHA", sha, ...rest]);
  } catch (error) {
    if (!isReply(error) || !error.message.startsWith("NOSCRIPT")) throw error;
    return await send(keys[0], ["EVAL", source, ...rest]);
  }
}
