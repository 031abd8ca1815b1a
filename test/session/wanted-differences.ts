import type { GeneratedRequest } from "./generated-requests.ts";
import type { SeenAnswer } from "./two-servers.ts";

/** A difference between the SDK's transport and Mooring's that is meant. */
export interface WantedDifference {
  readonly name: string;
  readonly reason: string;
  /** Whether it is this difference: both answers must be exactly as described, not merely unequal. */
  readonly holds: (request: GeneratedRequest, sdk: SeenAnswer, mooring: SeenAnswer) => boolean;
}

interface ErrorBody {
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { readonly reason?: string } };
}

const errorOf = (answer: SeenAnswer) => (answer.body as ErrorBody | undefined)?.error;

function parsed(request: GeneratedRequest): unknown {
  try {
    return JSON.parse(request.body ?? "");
  } catch {
    return undefined;
  }
}

function repeatsAnId(request: GeneratedRequest): boolean {
  const body = parsed(request);
  if (!Array.isArray(body)) return false;
  const ids = body.filter((message) => "method" in message && "id" in message).map(({ id }) => id);
  return new Set(ids).size < ids.length;
}

export const wantedDifferences: readonly WantedDifference[] = [
  {
    name: "a refusal says why",
    reason:
      "An unknown session is refused with the reason and the next step (docs/architecture.md, refusals), which the SDK doesn't give.",
    holds: (_request, sdk, mooring) =>
      sdk.status === 404 &&
      mooring.status === 404 &&
      errorOf(sdk)?.code === -32001 &&
      errorOf(mooring)?.data?.reason !== undefined,
  },
  {
    name: "the session comes before the body",
    reason:
      "A node that doesn't hold the session says so without parsing the body: a misrouted request costs it little.",
    holds: (request, sdk, mooring) =>
      (request.session === "unknown" || request.session === "malformed") &&
      sdk.status === 400 &&
      mooring.status === 404 &&
      errorOf(mooring)?.data?.reason === "unknown",
  },
  {
    name: "two session ids",
    reason: "The edge pins by either of two Mcp-Session-Id headers, so a node must not guess which one is meant.",
    holds: (request, _sdk, mooring) => request.session === "twice" && mooring.status === 400,
  },
  {
    name: "an empty batch",
    reason: "JSON-RPC 2.0, section 6: an empty array is an invalid request. The SDK accepts it.",
    holds: (request, _sdk, mooring) =>
      Array.isArray(parsed(request)) && (parsed(request) as []).length === 0 && errorOf(mooring)?.code === -32600,
  },
  {
    name: "batches where the revision has none",
    reason:
      "2025-06-18 removed batches (its changelog): from then on a body is one message. The SDK takes them in every revision.",
    holds: (request, _sdk, mooring) =>
      Array.isArray(parsed(request)) &&
      request.revision >= "2025-06-18" &&
      errorOf(mooring)?.message.includes("Batches do not exist") === true,
  },
  {
    name: "one id for two requests",
    reason: "Ids are unique in a session (2025-03-26, Requests). The SDK runs both and answers one of them never.",
    holds: (request, _sdk, mooring) =>
      repeatsAnId(request) && mooring.status === 400 && errorOf(mooring)?.code === -32600,
  },
  {
    name: "an incomplete initialize",
    reason: "It begins no session in either; Mooring says what it lacks, the SDK that the server is not initialized.",
    holds: (request, sdk, mooring) =>
      request.session === "none" &&
      sdk.status === 400 &&
      mooring.status === 400 &&
      errorOf(mooring)?.message.includes("initialize needs") === true,
  },
  {
    name: "Last-Event-ID is honoured",
    reason:
      "The SDK resumes only with an event store; Mooring always retains events, and refuses ids that it never gave out.",
    holds: (request, sdk, mooring) =>
      request.method === "GET" && request.lastEventId !== undefined && sdk.body === "open" && mooring.status === 400,
  },
  {
    name: "preflight requests",
    reason: "OPTIONS on /mcp is answered for browsers (CORS); the SDK leaves that to its host.",
    holds: (request, sdk, mooring) => request.method === "OPTIONS" && sdk.status === 405 && mooring.status === 204,
  },
];
