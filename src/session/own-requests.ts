import { randomUUID } from "node:crypto";
import { isResponse, type JsonRpcMessage, type JsonRpcRequest, type RequestId } from "./json-rpc.ts";

/** Sends a request to a session's server; its response goes no further. Rejects when there is none in time. */
export type Ask = (method: string, params: JsonRpcMessage["params"], ms: number) => Promise<JsonRpcMessage>;

interface Waiting {
  readonly answered: (response: JsonRpcMessage) => void;
  readonly gaveUp: (error: Error) => void;
  readonly timer: NodeJS.Timeout;
}

/** Requests that Mooring itself sends to a session's server. The client sees nothing of them. */
export class OwnRequests {
  readonly #deliver: (request: JsonRpcRequest) => void;
  /** Absent until the first: most sessions never have one. */
  #waiting: Map<RequestId, Waiting> | undefined;
  #prefix: string | undefined;
  #count = 0;

  constructor(deliver: (request: JsonRpcRequest) => void) {
    this.#deliver = deliver;
  }

  /** Rejects when there is no response within so many milliseconds. */
  ask(method: string, params: JsonRpcMessage["params"], ms: number): Promise<JsonRpcMessage> {
    // No client can guess it, so none can take it for a request of its own.
    this.#prefix ??= `mooring-${randomUUID()}-`;
    this.#count += 1;
    const id = this.#prefix + this.#count;
    return new Promise((answered, gaveUp) => {
      const timer = setTimeout(() => this.#giveUp(id, `The server did not answer ${method} within ${ms} ms`), ms);
      this.#waiting ??= new Map();
      this.#waiting.set(id, { answered, gaveUp, timer });
      this.#deliver({ jsonrpc: "2.0", id, method, ...(params && { params }) });
    });
  }

  /** Whether a message of the server answers one of these requests, or belongs to one: then it goes no further. */
  takes(message: JsonRpcMessage, related: RequestId | undefined): boolean {
    if (this.#prefix === undefined) return false;
    const id = isResponse(message) ? message.id : related;
    if (typeof id !== "string" || !id.startsWith(this.#prefix)) return false;
    const waiting = isResponse(message) ? this.#waiting?.get(id) : undefined;
    if (waiting !== undefined) {
      this.#waiting?.delete(id);
      clearTimeout(waiting.timer);
      waiting.answered(message);
    }
    return true;
  }

  /** Nobody waits any more. */
  stop(): void {
    for (const id of [...(this.#waiting?.keys() ?? [])]) this.#giveUp(id, "The session ended");
  }

  #giveUp(id: RequestId, why: string): void {
    const waiting = this.#waiting?.get(id);
    if (waiting === undefined) return;
    this.#waiting?.delete(id);
    clearTimeout(waiting.timer);
    waiting.gaveUp(new Error(why));
  }
}
