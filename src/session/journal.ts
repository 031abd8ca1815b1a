import type { Journal } from "../ports/registry.ts";
import type { JsonRpcMessage, JsonRpcRequest, RequestId } from "./json-rpc.ts";

type Change = (journal: SessionJournal) => void;

/** How many subscriptions of a session are noted. */
const maxSubscriptions = 1_000;

/** What shaped a session from its client's side, and has to be said again to a fresh server. */
export class SessionJournal {
  /** The `initialize` request, as JSON. */
  readonly initialize: string;
  #level: string | undefined;
  readonly #subscriptions: Set<string>;
  /** What changes when the request with this id succeeds. */
  readonly #asked = new Map<RequestId, Change>();

  constructor({ initialize, level, subscriptions = [] }: Journal) {
    this.initialize = initialize;
    this.#level = level;
    this.#subscriptions = new Set(subscriptions);
  }

  get all(): Journal {
    return { initialize: this.initialize, level: this.#level, subscriptions: [...this.#subscriptions] };
  }

  /** Whether a request shapes the session; then its answer is to be told. */
  heard({ id, method, params }: JsonRpcRequest): boolean {
    const change = changeOf(method, params);
    if (change === undefined) return false;
    this.#asked.set(id, change);
    return true;
  }

  /** What is to be written before the response leaves. */
  answered({ id, result }: JsonRpcMessage): Partial<Journal> | undefined {
    const change = this.#asked.get(id as RequestId);
    if (change === undefined) return undefined;
    this.#asked.delete(id as RequestId);
    if (result === undefined) return undefined;
    change(this);
    const { level, subscriptions } = this.all;
    return { ...(level !== undefined && { level }), subscriptions };
  }

  /** The request ended without a response. */
  forget(id: RequestId): void {
    if (this.#asked.size > 0) this.#asked.delete(id);
  }

  setLevel(level: string): void {
    this.#level = level;
  }

  subscribe(uri: string): void {
    this.#subscriptions.add(uri);
    if (this.#subscriptions.size <= maxSubscriptions) return;
    const [oldest] = this.#subscriptions;
    this.#subscriptions.delete(oldest as string);
  }

  unsubscribe(uri: string): void {
    this.#subscriptions.delete(uri);
  }
}

function changeOf(method: string, params: JsonRpcMessage["params"]): Change | undefined {
  const uri = String(params?.uri);
  switch (method) {
    case "logging/setLevel":
      return (journal) => journal.setLevel(JSON.stringify(params));
    case "resources/subscribe":
      return (journal) => journal.subscribe(uri);
    case "resources/unsubscribe":
      return (journal) => journal.unsubscribe(uri);
    default:
      return undefined;
  }
}
