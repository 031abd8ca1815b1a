import type { LedgerEntry } from "../ports/registry.ts";
import type { Call, CallStream } from "./call-stream.ts";
import { type JsonRpcRequest, jsonOf, type RequestId } from "./json-rpc.ts";
import type { Outbox } from "./outbox.ts";
import { PostBody } from "./post-body.ts";
import type { Repeatable } from "./repeatable.ts";
import type { Unwritten } from "./unwritten.ts";

/** A call that has ended, or whose node has, and of which its client may not have the answer. */
export interface PastCall {
  readonly id: RequestId;
  /** Where its answer was sent, or what was said in its place. */
  stream: string;
  readonly body: PostBody;
  readonly request: JsonRpcRequest;
  /** Absent when the registry knows nothing of it. */
  entry: LedgerEntry | undefined;
  /**
   * leaving: its answer is on its way. unread: its client hung up before. orphan: it was in flight when the node died that
   * ran it.
   */
  state: "leaving" | "unread" | "orphan";
  /** Since when, by the session's clock. */
  since: number;
}

/** What becomes of a request. */
export type Verdict =
  | "run"
  /** A repeat of one that is running. */
  | "running"
  /** A repeat of one whose answer got lost on its way. */
  | "may-have-run"
  /** A repeat of one that was in flight when its node died. */
  | "node-died"
  /** Another request with this id is running. */
  | "id-in-use";

export interface LedgerParts {
  readonly outbox: Outbox;
  readonly unwritten: Unwritten;
  readonly repeatable: Repeatable;
  now(): number;
}

/** How many calls are remembered whose answers nobody has read, how long their bodies may be together, and for how long. */
const maxKept = 256;
const maxKeptLength = 8 * 1024 * 1024;
const keptMs = 5 * 60_000;

/** A call with larger params is never run again; nor is one whose params are nested too deep to be written. */
const maxParamsBytes = 64 * 1024;

/**
 * Which calls have begun, and whether their answers have left: so that a repeated POST never runs twice what may have
 * run, also when its node died. What ends within 20 ms is known in this process only.
 */
export class Ledger {
  readonly #parts: LedgerParts;
  readonly #past = new Map<RequestId, PastCall>();
  #sweep: NodeJS.Timeout | undefined;

  constructor(parts: LedgerParts) {
    this.#parts = parts;
  }

  /** Notes a call that has begun, to be written before the next message leaves. */
  begin(call: Call): void {
    const { request, stream } = call;
    const { name, body, at } = stream;
    const repeatable = this.#isRepeatable(request);
    call.entry = entryOf(request, { hash: body?.hash ?? "", stream: name, repeatable, at });
    this.#parts.unwritten.begun(call.entry);
  }

  /** The session goes on elsewhere: so do the calls whose answers may not have been read, and that ended quickly. */
  goesAlong(): void {
    for (const past of this.#past.values()) {
      if (past.entry !== undefined) continue;
      const { request, body, stream, since } = past;
      const repeatable = this.#isRepeatable(request);
      past.entry = entryOf(request, { hash: body.hash, stream, repeatable, at: since });
      this.#parts.unwritten.begun(past.entry);
    }
  }

  /**
   * What a request is whose id is, or may be, that of another one: something to run, or a repeat (the same id and the
   * same body). Of a call that isn't running any more a client is told until that has left once; then its id is free.
   */
  judge(request: JsonRpcRequest, running: Call | undefined, body: string | undefined): Verdict {
    if (running !== undefined) {
      return body !== undefined && running.stream.body?.is(body) === true ? "running" : "id-in-use";
    }
    const past = this.#past.get(request.id);
    if (past === undefined || body === undefined) return "run";
    const runsAgain = past.state !== "leaving" && (past.entry?.repeatable ?? this.#isRepeatable(request));
    if (past.body.is(body) && !runsAgain) return past.state === "orphan" ? "node-died" : "may-have-run";
    this.forget(past);
    return "run";
  }

  /** A client is being told, by this answer to its repeat, of a call that has ended. */
  telling({ request, stream }: Call): void {
    const past = this.#past.get(request.id);
    if (past === undefined) return;
    past.stream = stream.name;
    past.state = "leaving";
  }

  /** Whether nothing is remembered of calls that have ended: their clients have the answers, or it is too long ago. */
  get isEmpty(): boolean {
    return this.#past.size === 0;
  }

  /** Whether it is known that the answer of a call is on its way. */
  has({ request, stream }: Call): boolean {
    return this.#past.get(request.id)?.stream === stream.name;
  }

  /** The answer of a call is on its way. */
  leaving(call: Call): void {
    const { request, stream, entry } = call;
    const body = stream.body ?? PostBody.ofHash(entry?.hash ?? "");
    const since = this.#parts.now();
    this.#past.set(request.id, { id: request.id, stream: stream.name, body, request, entry, state: "leaving", since });
    call.entry = undefined;
  }

  /** The answer on a stream has fully left: its calls can be repeated from now on. */
  left(stream: CallStream): void {
    for (const call of stream.calls) {
      if (call.entry !== undefined) this.#end(call.entry);
      else if (this.#past.size > 0) {
        const past = this.#past.get(call.request.id);
        if (past?.stream === stream.name) this.forget(past);
      }
    }
  }

  /** Its client hung up before it had the whole answer. */
  unread(stream: CallStream): void {
    for (const { request } of stream.calls) {
      const past = this.#past.get(request.id);
      if (past?.stream !== stream.name) continue;
      past.state = "unread";
      past.since = this.#parts.now();
    }
    this.#shorten();
    this.#arrangeSweep();
  }

  /** A client has asked for the rest of a stream, and got it. */
  read(stream: string): void {
    for (const past of [...this.#past.values()]) if (past.stream === stream) this.forget(past);
  }

  /** What the node noted that is gone. */
  restore(entries: readonly LedgerEntry[]): void {
    const since = this.#parts.now();
    for (const entry of entries) {
      const id = JSON.parse(entry.request) as RequestId;
      const { stream, method } = entry;
      const params = entry.params === undefined ? {} : (JSON.parse(entry.params) as JsonRpcRequest["params"]);
      const request: JsonRpcRequest = { jsonrpc: "2.0", id, method, ...(params && { params }) };
      this.#past.set(id, { id, stream, body: PostBody.ofHash(entry.hash), request, entry, state: "orphan", since });
    }
    this.#arrangeSweep();
  }

  /** Calls that were in flight on this stream when their node died. */
  orphansOf(stream: string): PastCall[] {
    return [...this.#past.values()].filter((past) => past.stream === stream && past.state === "orphan");
  }

  /** The id is free again. */
  forget(past: PastCall): void {
    if (this.#past.get(past.id) === past) this.#past.delete(past.id);
    if (past.entry !== undefined) this.#end(past.entry);
  }

  /** It runs again: what the registry has of it stays. */
  takeUp(past: PastCall): void {
    this.#past.delete(past.id);
  }

  /** What the registry has, or is to have, of calls that run and of those that have ended. */
  entries(running: Iterable<CallStream>): LedgerEntry[] {
    const past = [...this.#past.values()].flatMap(({ entry }) => entry ?? []);
    const begun = [...running].flatMap(({ calls }) => calls.flatMap(({ entry }) => entry ?? []));
    return [...past, ...begun];
  }

  stop(): void {
    clearTimeout(this.#sweep);
    this.#sweep = undefined;
    this.#past.clear();
  }

  #end(entry: LedgerEntry): void {
    this.#parts.unwritten.ended(entry.request);
    // No message waits for that.
    this.#parts.outbox.soon();
  }

  /** As far as that is known. */
  #isRepeatable(request: JsonRpcRequest): boolean {
    return this.#parts.repeatable.known(request) === true;
  }

  /** The oldest go first; those on their way end by themselves. */
  #shorten(): void {
    const kept = [...this.#past.values()].filter(({ state }) => state !== "leaving");
    // The requests of a batch share their body.
    const bodies = new Set<PostBody>();
    let length = 0;
    for (const [index, past] of kept.reverse().entries()) {
      if (!bodies.has(past.body)) length += past.body.length;
      bodies.add(past.body);
      if (index >= maxKept || (bodies.size > 1 && length > maxKeptLength)) this.forget(past);
    }
  }

  #arrangeSweep(): void {
    let oldest: number | undefined;
    for (const { state, since } of this.#past.values()) {
      if (state !== "leaving") oldest = Math.min(oldest ?? since, since);
    }
    if (oldest === undefined || this.#sweep !== undefined) return;
    const ms = Math.max(0, oldest + keptMs - this.#parts.now());
    this.#sweep = setTimeout(() => this.#expire(), Math.min(ms, keptMs) + 1).unref();
  }

  #expire(): void {
    this.#sweep = undefined;
    const now = this.#parts.now();
    for (const past of [...this.#past.values()]) {
      if (past.state !== "leaving" && now - past.since >= keptMs) this.forget(past);
    }
    this.#arrangeSweep();
  }
}

function entryOf(
  { id, method, params = {} }: JsonRpcRequest,
  known: Pick<LedgerEntry, "hash" | "stream" | "repeatable" | "at">,
): LedgerEntry {
  const json = jsonOf(params);
  const isKept = json !== undefined && Buffer.byteLength(json) <= maxParamsBytes;
  return { request: JSON.stringify(id), method, ...(isKept && { params: json }), ...known };
}
