/** MCP by hand, as a client without cookies and without any SDK sends it. */

export interface RawAnswer {
  readonly status: number;
  readonly headers: Headers;
  /** The JSON body, or the first message of an event stream. */
  readonly body: {
    readonly id?: unknown;
    readonly result?: {
      readonly structuredContent?: Record<string, unknown>;
      readonly tools?: readonly { readonly name: string }[];
    };
    readonly error?: {
      readonly code: number;
      readonly message: string;
      readonly data?: { readonly reason: string; readonly next: string };
    };
  };
}

const both = "application/json, text/event-stream";

/** POSTs one message. */
async function post(
  mcp: string,
  message: object,
  sessionId?: string,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const answer = await fetch(mcp, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      accept: both,
      ...(sessionId !== undefined && { "mcp-session-id": sessionId }),
      ...headers,
    },
    body: JSON.stringify(message),
    signal: AbortSignal.timeout(15_000),
  });
  const text = await answer.text();
  const json =
    text.startsWith("event:") || text.startsWith("id:") ? (/^data: (\{.*)$/m.exec(text)?.[1] ?? "{}") : text || "{}";
  // A balancer's own answers are no JSON.
  const isMcp = json.startsWith("{");
  return { status: answer.status, headers: answer.headers, body: isMcp ? JSON.parse(json) : {} };
}

/** Begins a session; gives its id. */
export async function initialize(mcp: string, protocolVersion = "2025-11-25"): Promise<string> {
  const answer = await post(mcp, {
    jsonrpc: "2.0",
    id: 0,
    method: "initialize",
    params: { protocolVersion, capabilities: {}, clientInfo: { name: "raw", version: "1.0.0" } },
  });
  const sessionId = answer.headers.get("mcp-session-id");
  if (sessionId === null)
    throw new Error(`initialize gave ${answer.status} and no session id: ${JSON.stringify(answer.body)}`);
  await post(mcp, { jsonrpc: "2.0", method: "notifications/initialized" }, sessionId);
  return sessionId;
}

/** Calls a tool. */
export function call(
  mcp: string,
  sessionId: string,
  name: string,
  args: object = {},
  id: number | string = 1,
): Promise<RawAnswer> {
  return post(mcp, { jsonrpc: "2.0", id, method: "tools/call", params: { name, arguments: args } }, sessionId);
}

/** The names of the tools that a session has. */
export async function listTools(mcp: string, sessionId: string): Promise<string[]> {
  const { body } = await post(mcp, { jsonrpc: "2.0", id: "tools", method: "tools/list" }, sessionId);
  return (body.result?.tools ?? []).map(({ name }) => name);
}

/** Ends a session as a client does; gives the status. */
export async function endSession(mcp: string, sessionId: string): Promise<number> {
  const answer = await fetch(mcp, {
    method: "DELETE",
    headers: { "mcp-session-id": sessionId },
    signal: AbortSignal.timeout(15_000),
  });
  await answer.arrayBuffer();
  return answer.status;
}
