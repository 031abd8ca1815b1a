import type { Lists } from "../ports/registry.ts";
import { errorCode } from "./json-rpc.ts";
import { digestOf, type ListKind, listKinds } from "./lists.ts";
import type { Ask } from "./own-requests.ts";

export interface ListCheckParts {
  /** Digests of the lists that the client was given last. */
  given(): Lists;
  /** What the server can do, as it says. */
  readonly capabilities: Readonly<Record<string, unknown>>;
  readonly ask: Ask;
  /** Sends the client a notification of this method. */
  tell(method: string): void;
  /** Whether the session has ended here. */
  isOver(): boolean;
}

/** How long the server may take to give a list, in milliseconds. */
const listMs = 10_000;

/**
 * Whether a fresh server lists other tools, resources or prompts than the client was given by the one before it, as after
 * a deploy; then the client is told, as the server itself would. What it was given stays noted, so that it is told again
 * after the next move, should it not have heard of it: when it has, it asks for the list, and gets the new one.
 */
export class ListCheck {
  readonly #parts: ListCheckParts;
  readonly #left: ListKind[] = [...listKinds];
  readonly #told = new Set<string>();

  constructor(parts: ListCheckParts) {
    this.#parts = parts;
  }

  /** Rejects when the server does not give one of the lists. Run again, it goes on where it stopped. */
  async run(): Promise<void> {
    const { isOver } = this.#parts;
    if (isOver()) return;
    try {
      for (let [kind] = this.#left; kind !== undefined; [kind] = this.#left) {
        await this.#look(kind);
        this.#left.shift();
      }
    } catch (error) {
      // Where the session goes on, they are looked at again.
      if (!isOver()) throw error;
    }
  }

  async #look({ method, name, capability, changed }: ListKind): Promise<void> {
    const { given, capabilities, ask, tell } = this.#parts;
    if (given()[name] === undefined || capabilities[capability] === undefined || this.#told.has(changed)) return;
    const { result, error } = await ask(method, {}, listMs);
    if (error?.code === errorCode.methodNotFound) return;
    if (result === undefined) throw new Error(`The server refused ${method}: ${error?.message}`);
    const digest = digestOf(name, result);
    // Looked at now: the client may have asked for the list meanwhile.
    if (digest === undefined || digest === given()[name]) return;
    this.#told.add(changed);
    tell(changed);
  }
}
