import type { AdminAnswer } from "./ask.ts";
import type { NotTold } from "./target.ts";

/** An error as the API tells it. */
export interface Problem {
  readonly status: number;
  readonly code: string;
  readonly message: string;
  readonly next: string;
}

export class ProblemError extends Error {
  override readonly name = "ProblemError";
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.message);
    this.problem = problem;
  }
}

export function internal(error: unknown): Problem {
  const reason = error instanceof Error ? error.message : String(error);
  return {
    status: 503,
    code: "cluster-not-asked",
    message: `The cluster could not be asked: ${reason}`,
    next: "Try again. A node answers for itself alone with ?scope=node, and drains all the same when it is asked at its own admin address.",
  };
}

export function unknownSession(id: string, silent: readonly string[]): Problem {
  const unasked = silent.length === 0 ? "" : ` These nodes did not answer: ${silent.join(", ")}.`;
  return {
    status: 404,
    code: "unknown-session",
    message: `No session ${id} was found.${unasked}`,
    next: "List the sessions with /api/sessions (mooring sessions).",
  };
}

export function unknownNode(name: string): Problem {
  return {
    status: 404,
    code: "unknown-node",
    message: `No node "${name}" is up.`,
    next: "List the nodes with /api/nodes (mooring nodes).",
  };
}

export function nodeEmbedded(name: string): Problem {
  return {
    status: 501,
    code: "node-embedded",
    message: `Node "${name}" is embedded in an app: its host restarts it.`,
    next: "Restart the app by what runs it. To hand the node's sessions over before, drain it (mooring drain).",
  };
}

function ofNode(name: string): string {
  return `Node "${name}": `;
}

/** What another node's answer says of itself, when it refuses what it was told. */
export function refusalOf(name: string, { status, body }: AdminAnswer): NotTold {
  const { message, next } = (body ?? {}) as Partial<Problem>;
  const why = typeof message === "string" ? message : `status ${status}`;
  const from = ofNode(name);
  return {
    ...{ kind: "not-told", why: why.startsWith(from) ? why.slice(from.length) : why },
    ...(typeof next === "string" && { next }),
  };
}

export function nodeNotTold(name: string, { why, next }: NotTold): Problem {
  return {
    status: 503,
    code: "node-not-told",
    message: `${ofNode(name)}${why}`,
    next: next ?? "Try again, or ask the node itself at its own admin address.",
  };
}
