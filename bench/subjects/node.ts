import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { OwnedProcess } from "../../src/local/owned-process.ts";
import type { Children } from "../children.ts";
import type { Serving } from "./start.ts";

export interface NodeParts {
  /** Unique among the nodes that share a registry. */
  readonly name?: string;
  /** What it serves: a name that `mooring serve` takes, or a path. */
  readonly module?: string;
  /** Without one its registry is in memory, so it is a cluster of one. */
  readonly redis?: string;
  readonly options?: readonly string[];
  /** The folder of the Mooring that runs it, with its dependencies installed; default: this one. */
  readonly tree?: string;
  /** A module that runs in the node before it, and sends its messages to `onMessage`. */
  readonly preload?: URL;
  readonly onMessage?: (message: unknown) => void;
  /** Each line that it logs: JSON. */
  readonly onLog?: (line: string) => void;
}

export interface StartedNode extends Serving {
  readonly process: OwnedProcess;
  /** Its admin listener, where the options name one. */
  readonly admin: string | null;
}

const startDeadlineMs = 30_000;
const ownTree = fileURLToPath(new URL("../..", import.meta.url));
const listening = ["--host", "127.0.0.1", "--port", "0", "--admin", "off", "--json"];

/** One node as people start it. */
export async function startNode(children: Children, parts: NodeParts = {}): Promise<StartedNode> {
  const {
    name = "bench",
    module = "yardstick",
    redis,
    options = [],
    tree = ownTree,
    preload,
    onMessage,
    onLog,
  } = parts;
  let ready: Ready | undefined;
  const node = await children.start({
    name: `the node ${name}`,
    command: process.execPath,
    args: [join(tree, "src/cli/main.ts"), "serve", module, "--name", name, ...listening, ...options],
    environment: {
      ...process.env,
      ...(redis === undefined ? {} : { MOORING_REDIS: redis }),
      ...(preload === undefined ? {} : { NODE_OPTIONS: `${process.env.NODE_OPTIONS ?? ""} --import=${preload.href}` }),
    },
    onMessage: (message) => {
      if (isReady(message)) ready = message;
      else onMessage?.(message);
    },
    onLine: (line, stream) => {
      if (stream === "stderr") onLog?.(line);
    },
  });
  await node.ready(() => ready !== undefined, startDeadlineMs);
  const { url, admin } = ready as unknown as Ready;
  return { url, admin, pid: node.pid, process: node };
}

interface Ready {
  readonly url: string;
  readonly admin: string | null;
}

function isReady(message: unknown): message is Ready {
  return typeof message === "object" && message !== null && "event" in message && message.event === "ready";
}
