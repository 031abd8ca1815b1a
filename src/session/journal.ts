import type { Journal, Lists } from "../ports/registry.ts";
import type { JsonRpcMessage, JsonRpcRequest, RequestId } from "./json-rpc.ts";
import { digestOf, type ListKind, listOf } from "./lists.ts";

/** What a request changes, when its result is there: gives what is to be written, if anything. */
type Change = (journal: SessionJournal, result: NonNullable<JsonRpcMessage["result"]>) => Partial<Journal> | undefined;

/** How many subscriptions of a session are noted, and how long they may be together: each one writes all of them. */
const maxSubscriptions = 1_000;
const maxSubscriptionsLength = 1024 * 1024;

/** What shaped a session from its client's side, and has to be said again to a fresh server; and what it was given. */
export class SessionJournal {
  /** The `initialize` request, as JSON. */
  readonly initialize: string;
  #level: string | undefined;
  /** Absent until the first. */
  #subscriptions: Set<string> | undefined;
  #lists: Lists | undefined;
  /** What changes when the request with this id succeeds. Absent while there is none. */
  #asked: Map<RequestId, Change> | undefined;

  constructor({ initialize, level, subscriptions = [], lists }: Journal) {
    this.initialize = initialize;
    this.#level = level;
    if (subscriptions.length > 0) this.#subscriptions = new Set(subscriptions);
    this.#lists = lists;
  }

  get all(): Journal {
    return { initialize: this.initialize, level: this.#level, subscriptions: this.#subscribed, lists: this.#lists };
  }

  get #subscribed(): string[] {
    return [...(this.#subscriptions ?? [])];
  }

  /** The lists that the client was given; undefined when it was given none. */
  get lists(): Lists | undefined {
    return this.#lists;
  }

  /** Whether a request shapes the session; then its answer is to be told. */
  heard({ id, method, params }: JsonRpcRequest): boolean {
    const change = changeOf(method, params);
    if (change === undefined) return false;
    this.#asked ??= new Map();
    this.#asked.set(id, change);
    return true;
  }

  /** What is to be written before the response leaves. */
  answered({ id, result }: JsonRpcMessage): Partial<Journal> | undefined {
    const change = this.#asked?.get(id as RequestId);
    if (change === undefined) return undefined;
    this.forget(id as RequestId);
    return result === undefined ? undefined : change(this, result);
  }

  /** The request ended without a response. */
  forget(id: RequestId): void {
    if (this.#asked?.delete(id) === true && this.#asked.size === 0) this.#asked = undefined;
  }

  setLevel(level: string): Partial<Journal> {
    this.#level = level;
    return { level };
  }

  subscribe(uri: string): Partial<Journal> | undefined {
    if (uri.length > maxSubscriptionsLength) return undefined;
    this.#subscriptions ??= new Set();
    this.#subscriptions.add(uri);
    let length = 0;
    for (const each of this.#subscriptions) length += each.length;
    for (const oldest of this.#subscriptions) {
      if (this.#subscriptions.size <= maxSubscriptions && length <= maxSubscriptionsLength) break;
      this.#subscriptions.delete(oldest);
      length -= oldest.length;
    }
    return { subscriptions: this.#subscribed };
  }

  unsubscribe(uri: string): Partial<Journal> {
    this.#subscriptions?.delete(uri);
    return { subscriptions: this.#subscribed };
  }

  /** A list that the client has already is nothing new: it costs no write. */
  listed({ name }: ListKind, result: NonNullable<JsonRpcMessage["result"]>): Partial<Journal> | undefined {
    const digest = digestOf(name, result);
    if (digest === undefined || digest === this.#lists?.[name]) return undefined;
    this.#lists = { ...this.#lists, [name]: digest };
    return { lists: this.#lists };
  }
}

function changeOf(method: string, params: JsonRpcMessage["params"]): Change | undefined {
  switch (method) {
    case "logging/setLevel": {
      const level = params?.level;
      return isText(level) ? (journal) => journal.setLevel(JSON.stringify({ level })) : undefined;
    }
    case "resources/subscribe": {
      const uri = params?.uri;
      return isText(uri) ? (journal) => journal.subscribe(uri) : undefined;
    }
    case "resources/unsubscribe": {
      const uri = params?.uri;
      return isText(uri) ? (journal) => journal.unsubscribe(uri) : undefined;
    }
    default: {
      const kind = listOf(method, params);
      return kind && ((journal, result) => journal.listed(kind, result));
    }
  }
}

/** Clients send what they like; no server has taken anything else. */
function isText(value: unknown): value is string {
  return typeof value === "string";
}
