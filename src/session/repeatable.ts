import type { JsonRpcRequest } from "./json-rpc.ts";
import type { Ask } from "./own-requests.ts";

/** Requests that only read, by the protocol itself. */
const readOnlyMethods: ReadonlySet<string> = new Set([
  "ping",
  "tools/list",
  "resources/list",
  "resources/templates/list",
  "resources/read",
  "prompts/list",
  "prompts/get",
  "completion/complete",
]);

/** How long the server may take to list its tools, in milliseconds: the head of a slow answer waits for it. */
const listMs = 1_000;

/** How many pages of tools are read. */
const maxPages = 20;

/**
 * Which requests may be run again when nobody knows whether they ran. Of tools the server's own annotations say so:
 * those that only read, or whose effect is the same the second time. They are asked for once in a session, when a call
 * first takes long enough for it to matter.
 */
export class Repeatable {
  readonly #ask: Ask;
  #tools: ReadonlySet<string> | undefined;
  #asking: Promise<void> | undefined;
  /** Counts changes of the server's tools. */
  #edition = 0;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Undefined: the server has to be asked first. */
  known({ method, params }: JsonRpcRequest): boolean | undefined {
    if (method !== "tools/call") return readOnlyMethods.has(method);
    return this.#tools?.has(params?.name as string);
  }

  /** Resolves when it is known, or the server could not say. */
  learn(): Promise<void> {
    this.#asking ??= this.#list();
    return this.#asking;
  }

  /** The server's tools have changed. */
  forget(): void {
    this.#edition += 1;
    this.#tools = undefined;
    this.#asking = undefined;
  }

  async #list(): Promise<void> {
    const tools = new Set<string>();
    const edition = this.#edition;
    let cursor: unknown;
    try {
      for (let page = 0; page < maxPages; page += 1) {
        const { result } = await this.#ask("tools/list", cursor === undefined ? {} : { cursor }, listMs);
        for (const tool of Array.isArray(result?.tools) ? result.tools : []) {
          const hints = tool?.annotations;
          if (hints?.readOnlyHint === true || hints?.idempotentHint === true) tools.add(String(tool.name));
        }
        cursor = result?.nextCursor;
        if (cursor === undefined) break;
      }
    } catch {
      // A server that doesn't say which tools it has: none of them is run again.
    }
    if (edition === this.#edition) this.#tools = tools;
  }
}
