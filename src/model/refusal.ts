/**
 * Why a session can't be served. The set is closed: clients, logs and metrics tell the cases apart by these words
 * (docs/glossary.md).
 */
export type RefusalReason = "unknown" | "closed" | "expired" | "owner-gone" | "server-gone" | "misrouted";

/** What the client should do: begin a new session, or send the same request again. */
export type NextStep = "initialize" | "retry";

/** A JSON-RPC request id, or null where the answer is about the session rather than about the request. */
export type JsonRpcId = string | number | null;

/** The body of a 404: a JSON-RPC error that says what happened and what to do. */
export interface RefusalBody {
  readonly jsonrpc: "2.0";
  readonly error: {
    readonly code: -32001;
    readonly message: string;
    readonly data: { readonly reason: RefusalReason; readonly next: NextStep };
  };
  readonly id: JsonRpcId;
}

const messages: Record<RefusalReason, string> = {
  unknown: "Session not found: no node of this cluster knows it. Send initialize to begin a new session.",
  closed: "Session not found: it was closed. Send initialize to begin a new session.",
  expired: "Session not found: it expired after a time without use. Send initialize to begin a new session.",
  "owner-gone": "Session not found: the node that held it is gone. Send initialize to begin a new session.",
  "server-gone":
    "Session not found: its server ended, and could not go on elsewhere. Send initialize to begin a new session.",
  misrouted:
    "Session not reachable: it lives on another node, which this node can't pass requests to. Send the request again, with the cookie _mcp_backend if one was set.",
};

/** What a client should do after a refusal. Only a misroute is transient: the session itself lives on. */
function nextStep(reason: RefusalReason): NextStep {
  return reason === "misrouted" ? "retry" : "initialize";
}

/**
 * The answer to a request whose session can't be served. An ended session is answered with id null, because the Go
 * client takes exactly that as "begin anew"; a transient refusal carries the request's own id.
 */
export function refusalBody(reason: RefusalReason, requestId: JsonRpcId): RefusalBody {
  const next = nextStep(reason);
  return {
    jsonrpc: "2.0",
    error: { code: -32001, message: messages[reason], data: { reason, next } },
    id: next === "retry" ? requestId : null,
  };
}
