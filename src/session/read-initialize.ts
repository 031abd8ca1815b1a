import { type Fault, sessionIdMissing } from "./http-checks.ts";
import { errorCode, isInitialize, type JsonRpcMessage, jsonOf, type RequestId } from "./json-rpc.ts";
import { readMessages } from "./read-messages.ts";

/** What a POST without a session id holds: the `initialize` request that begins a session, and nothing else. */
export type Initialize =
  | {
      readonly kind: "initialize";
      readonly id: RequestId;
      /** "name/version", cut to 128 characters. */
      readonly client: string;
      /** The request, alone. */
      readonly messages: readonly JsonRpcMessage[];
      /** The same as JSON. */
      readonly json: string;
    }
  | { readonly kind: "fault"; readonly fault: Fault };

/** Reads the body of a POST without a session id. */
export function readInitialize(text: string): Initialize {
  const body = readMessages(text);
  if (body.kind === "fault") return body;
  const { messages } = body;
  const initialize = messages.find(isInitialize);
  if (initialize === undefined) {
    const isIncomplete = messages.some((message) => message.method === "initialize");
    return isIncomplete ? incomplete : { kind: "fault", fault: sessionIdMissing };
  }
  if (messages.length > 1) return notAlone;
  const json = jsonOf(initialize);
  if (json === undefined) return tooDeep;
  const { name, version } = initialize.params.clientInfo;
  return { kind: "initialize", id: initialize.id, client: `${name}/${version}`.slice(0, 128), messages, json };
}

const invalid = (message: string): Initialize => ({
  kind: "fault",
  fault: { status: 400, code: errorCode.invalidRequest, message: `Invalid Request: ${message}` },
});

const incomplete = invalid("initialize needs protocolVersion, capabilities and clientInfo with name and version");
const notAlone = invalid("Only one initialization request is allowed");
const tooDeep = invalid("initialize is nested too deep to be kept");
