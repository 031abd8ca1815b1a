import { type Fault, maxBatch } from "./http-checks.ts";
import { errorCode, isInitialize, isMessage, type JsonRpcMessage } from "./json-rpc.ts";
import { hasBatches } from "./protocol-version.ts";

/** What the body of a POST holds. */
export type Body =
  | { readonly kind: "messages"; readonly messages: readonly JsonRpcMessage[]; readonly isBatch: boolean }
  | { readonly kind: "fault"; readonly fault: Fault };

const fault = (code: number, message: string): Body => ({ kind: "fault", fault: { status: 400, code, message } });

/** Reads the JSON-RPC messages of a body. */
export function readMessages(text: string): Body {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fault(errorCode.parse, "Parse error: Invalid JSON");
  }
  if (!Array.isArray(value)) {
    if (!isMessage(value)) return fault(errorCode.parse, "Parse error: Invalid JSON-RPC message");
    return { kind: "messages", messages: [value], isBatch: false };
  }
  if (value.length > maxBatch) {
    return fault(errorCode.invalidRequest, `Invalid Request: Batch must not exceed ${maxBatch} messages`);
  }
  if (value.length === 0) return fault(errorCode.invalidRequest, "Invalid Request: Batch must not be empty");
  if (!value.every(isMessage)) return fault(errorCode.parse, "Parse error: Invalid JSON-RPC message");
  return { kind: "messages", messages: value, isBatch: true };
}

/** What a session that has been initialized can't take, although it is well-formed. */
export function checkForSession(body: Body & { kind: "messages" }, revision: string | undefined): Fault | undefined {
  if (body.messages.some(isInitialize)) {
    return { status: 400, code: errorCode.invalidRequest, message: "Invalid Request: Server already initialized" };
  }
  if (body.isBatch && revision !== undefined && !hasBatches(revision)) {
    const message = `Invalid Request: Batches do not exist in protocol version ${revision}; send one message`;
    return { status: 400, code: errorCode.invalidRequest, message };
  }
  return undefined;
}
