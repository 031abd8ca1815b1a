export type RequestId = string | number;

/** A JSON-RPC message, checked in its outline only: the server checks params and results against its own schemas. */
export interface JsonRpcMessage {
  readonly jsonrpc: "2.0";
  readonly id?: RequestId;
  readonly method?: string;
  readonly params?: { readonly [key: string]: unknown };
  readonly result?: { readonly [key: string]: unknown };
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown };
}

export interface JsonRpcRequest extends JsonRpcMessage {
  readonly id: RequestId;
  readonly method: string;
}

export interface JsonRpcResponse extends JsonRpcMessage {
  readonly id: RequestId;
}

export function isRequest(message: JsonRpcMessage): message is JsonRpcRequest {
  return message.method !== undefined && message.id !== undefined;
}

export function isResponse(message: JsonRpcMessage): message is JsonRpcResponse {
  return message.method === undefined && message.id !== undefined;
}

type Fields = Record<string, unknown>;

function isObject(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isId(value: unknown): value is RequestId {
  return typeof value === "string" || Number.isSafeInteger(value);
}

/** `_meta` of a request or notification, whose known fields have types of their own (2025-11-25, Basic, `_meta`). */
function isMeta(meta: unknown): boolean {
  if (meta === undefined) return true;
  if (!isObject(meta)) return false;
  const { progressToken } = meta;
  const task = meta["io.modelcontextprotocol/related-task"];
  return (
    (progressToken === undefined || isId(progressToken)) &&
    (task === undefined || (isObject(task) && typeof task.taskId === "string"))
  );
}

function isParams(params: unknown): boolean {
  return params === undefined || (isObject(params) && isMeta(params._meta));
}

function hasOnly(message: Fields, allowed: ReadonlySet<string>): boolean {
  for (const key in message) {
    if (!allowed.has(key)) return false;
  }
  return true;
}

const callFields = new Set(["jsonrpc", "id", "method", "params"]);
const resultFields = new Set(["jsonrpc", "id", "result"]);
const errorFields = new Set(["jsonrpc", "id", "error"]);

/**
 * Whether a parsed JSON value is a JSON-RPC message in the sense of the MCP schema. Written by hand because it stands
 * on the way of every call: the SDK's schemas take longer for this than all the rest of the transport.
 */
export function isMessage(value: unknown): value is JsonRpcMessage {
  if (!isObject(value) || value.jsonrpc !== "2.0") return false;
  if (value.method !== undefined) {
    const idIsRight = value.id === undefined ? !("id" in value) : isId(value.id);
    return typeof value.method === "string" && idIsRight && isParams(value.params) && hasOnly(value, callFields);
  }
  if (value.result !== undefined) {
    const { result } = value;
    const resultIsRight = isObject(result) && (result._meta === undefined || isObject(result._meta));
    return isId(value.id) && resultIsRight && hasOnly(value, resultFields);
  }
  const { error, id } = value;
  return (
    isObject(error) &&
    Number.isSafeInteger(error.code) &&
    typeof error.message === "string" &&
    (id === undefined || isId(id)) &&
    hasOnly(value, errorFields)
  );
}

/** What a client sent, as JSON again. Undefined: it is nested deeper than can be written, though not than can be read. */
export function jsonOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

/** What a client says of itself when it begins a session. */
export interface InitializeParams {
  readonly protocolVersion: string;
  readonly capabilities: Fields;
  readonly clientInfo: { readonly name: string; readonly version: string };
}

/** Whether a message begins a session: an initialize request whose params have the outline that the schema asks for. */
export function isInitialize(
  message: JsonRpcMessage,
): message is JsonRpcRequest & { params: InitializeParams & Fields } {
  if (message.method !== "initialize" || message.id === undefined || message.params === undefined) return false;
  const { protocolVersion, capabilities, clientInfo } = message.params;
  return (
    typeof protocolVersion === "string" &&
    isObject(capabilities) &&
    isObject(clientInfo) &&
    typeof clientInfo.name === "string" &&
    typeof clientInfo.version === "string"
  );
}

/** The codes that Mooring itself answers with (JSON-RPC 2.0 section 5.1, and the SDKs' -32000 for transport faults). */
export const errorCode = {
  parse: -32700,
  invalidRequest: -32600,
  methodNotFound: -32601,
  internal: -32603,
  transport: -32000,
  session: -32001,
} as const;

/** A JSON-RPC error response, as text. */
export function errorText(id: RequestId | null, code: number, message: string): string {
  return JSON.stringify({ jsonrpc: "2.0", error: { code, message }, id });
}
