import { fileURLToPath } from "node:url";
import type { Children } from "../children.ts";
import type { Tool } from "../load/plan.ts";
import type { Listening } from "./listening.ts";
import { type NodeParts, startNode } from "./node.ts";

/** What a load can be put on. */
export interface Subject {
  readonly name: string;
  /** Its MCP endpoint. */
  readonly url: string;
  /** Where its sessions begin, if that is another address. */
  readonly openAt?: string;
  /** What is called there; default: echo. */
  readonly tool?: Tool;
  /** It can give only one answer, so each call has to be the same. */
  readonly same: boolean;
  /** Its processes, in groups whose CPU time is told apart. */
  readonly processes: Readonly<Record<string, readonly number[]>>;
}

/** A process that serves on loopback. */
export interface Serving {
  /** Without a path. */
  readonly url: string;
  readonly pid: number;
}

const startDeadlineMs = 30_000;

const files = {
  floor: new URL("floor.ts", import.meta.url),
  sdk: new URL("sdk.ts", import.meta.url),
} as const;

export async function startServing(children: Children, subject: keyof typeof files): Promise<Serving> {
  let url: string | undefined;
  const serving = await children.start({
    name: `the process of ${subject}`,
    command: process.execPath,
    args: [fileURLToPath(files[subject])],
    onMessage: (message) => {
      url = (message as Listening).url;
    },
  });
  await serving.ready(() => url !== undefined, startDeadlineMs);
  return { url: url as unknown as string, pid: serving.pid };
}

/** Starts a subject that is reached without anything between. A node of Mooring has its registry in memory then. */
export async function startDirect(
  children: Children,
  subject: keyof typeof files | "mooring",
  name: string,
  node: NodeParts = {},
): Promise<Subject> {
  const { url, pid } = subject === "mooring" ? await startNode(children, node) : await startServing(children, subject);
  return { name, url: `${url}/mcp`, same: subject === "floor", processes: { node: [pid] } };
}
