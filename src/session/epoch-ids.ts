import { isRequest, isResponse, type JsonRpcMessage, type RequestId } from "./json-rpc.ts";

/**
 * The ids of requests of the server to its client. Each owner's server counts them from 0 again, so from the second
 * epoch on they carry it on the wire: a late answer to a former owner must not be taken for one to this.
 */
export class EpochIds {
  readonly #prefix: string;

  constructor(epoch: number) {
    this.#prefix = `m${epoch}:`;
  }

  /** A message of the server, as it goes to the client. */
  outgoing(message: JsonRpcMessage): JsonRpcMessage {
    if (isRequest(message)) {
      const id = this.#mark(message.id);
      const { params } = message;
      const meta = params?._meta as { readonly progressToken?: unknown } | undefined;
      // The SDKs take a request's id for its progress token.
      if (meta?.progressToken !== message.id) return { ...message, id };
      return { ...message, id, params: { ...params, _meta: { ...meta, progressToken: id } } };
    }
    if (message.method !== "notifications/cancelled" || !isId(message.params?.requestId)) return message;
    return { ...message, params: { ...message.params, requestId: this.#mark(message.params.requestId) } };
  }

  /** A message of the client, as the server knows it; undefined when it is meant for the server of another epoch. */
  incoming(message: JsonRpcMessage): JsonRpcMessage | undefined {
    if (isResponse(message)) {
      const id = this.#unmark(message.id);
      return id === undefined ? undefined : { ...message, id };
    }
    if (message.method !== "notifications/progress") return message;
    const token = message.params?.progressToken;
    // Tokens of the server's own making are words; numbers, and what is marked, came from a request's id.
    if (typeof token === "string" && !/^m\d+:/.test(token)) return message;
    const progressToken = isId(token) ? this.#unmark(token) : undefined;
    return progressToken === undefined ? undefined : { ...message, params: { ...message.params, progressToken } };
  }

  #mark(id: RequestId): string {
    return this.#prefix + JSON.stringify(id);
  }

  #unmark(id: RequestId): RequestId | undefined {
    if (typeof id !== "string" || !id.startsWith(this.#prefix)) return undefined;
    try {
      const own: unknown = JSON.parse(id.slice(this.#prefix.length));
      return isId(own) ? own : undefined;
    } catch {
      return undefined;
    }
  }
}

function isId(value: unknown): value is RequestId {
  return typeof value === "string" || typeof value === "number";
}
