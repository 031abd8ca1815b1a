import type { LedgerEntry } from "../ports/registry.ts";
import { outcome, outcomeText } from "./call-outcomes.ts";
import type { Call, CallStream } from "./call-stream.ts";
import type { SessionJournal } from "./journal.ts";
import { errorCode, errorText, type JsonRpcMessage, type JsonRpcRequest, type RequestId } from "./json-rpc.ts";
import type { Ledger } from "./ledger.ts";
import type { Departure, Outbox } from "./outbox.ts";
import type { Repeatable } from "./repeatable.ts";
import { hasLeft, type ResponseSink, whenLeft } from "./response-sink.ts";
import type { MessageExtra } from "./transport-types.ts";
import type { Unwritten } from "./unwritten.ts";

export interface CallsParts {
  readonly outbox: Outbox;
  readonly unwritten: Unwritten;
  readonly ledger: Ledger;
  readonly repeatable: Repeatable;
  /** Absent where nothing outlives the node. */
  readonly journal: SessionJournal | undefined;
  /** Whether a call that may not be run twice is noted before it runs. */
  readonly notesFirst: boolean;
  /** The server has answered `initialize`. */
  initialized(result: JsonRpcMessage["result"]): void;
  deliver(message: JsonRpcMessage, extra: MessageExtra): void;
}

/** What becomes of the requests of one POST: for each that isn't run, what is answered instead. */
export type Intake =
  | { readonly kind: "taken"; readonly told: ReadonlyMap<RequestId, string> | undefined }
  | { readonly kind: "id-in-use"; readonly id: RequestId };

const taken: Intake = { kind: "taken", told: undefined };

const repeats = {
  running: outcome.running,
  "may-have-run": outcome.mayHaveRun,
  "node-died": outcome.nodeDied,
} as const;

/** The calls of a session: those that run, and those whose answers are on their way. */
export class Calls {
  readonly #parts: CallsParts;
  /** Calls that have begun and not ended, by request id. */
  readonly #running = new Map<RequestId, Call>();
  /** Answers that are whole and wait for what was changed before them to be written. */
  readonly #departing = new Set<CallStream>();
  /** What clients are told since the session has been lost: its answers leave no more. */
  #abandoned: string | undefined;

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  get(id: RequestId): Call | undefined {
    return this.#running.get(id);
  }

  has(id: RequestId): boolean {
    return this.#running.has(id);
  }

  /** Calls that have begun, and whose answers have not left. */
  get inFlight(): number {
    return this.#running.size + this.#departing.size;
  }

  get anyRuns(): boolean {
    return this.#running.size > 0;
  }

  /** What the registry has, or is to have, of calls that run and of those that have ended. */
  get entries(): LedgerEntry[] {
    return this.#parts.ledger.entries(this.#streams);
  }

  /** Looks at the requests of a POST before any of them is run. */
  judge(requests: readonly JsonRpcRequest[], body: string | undefined): Intake {
    const { ledger, outbox } = this.#parts;
    let told: Map<RequestId, string> | undefined;
    for (const [index, request] of requests.entries()) {
      const { id } = request;
      if (requests.length > 1 && requests.findIndex((other) => other.id === id) < index)
        return { kind: "id-in-use", id };
      const running = this.#running.get(id);
      if (running === undefined && !outbox.keeps) continue;
      const verdict = ledger.judge(request, running, body);
      if (verdict === "run") continue;
      if (verdict === "id-in-use") return { kind: "id-in-use", id };
      told ??= new Map();
      told.set(id, outcomeText(request, repeats[verdict]));
    }
    return told === undefined ? taken : { kind: "taken", told };
  }

  /** A repeat, of which its client is told. */
  tell(call: Call): void {
    if (!this.has(call.request.id)) this.#parts.ledger.telling(call);
  }

  /** A repeat gets this for an answer. */
  answerRepeat(stream: CallStream, told: string): void {
    stream.settle(told);
    if (this.#parts.outbox.keeps) this.#awaitLeaving(stream);
  }

  /** A call begins. Its server gets it by {@link run}. */
  add(call: Call): void {
    this.#running.set(call.request.id, call);
    this.#parts.journal?.heard(call.request);
  }

  /** Gives a call to its server: at once, or when it is noted that it has begun. */
  run(call: Call, extra: MessageExtra): void {
    const { notesFirst, outbox, deliver } = this.#parts;
    if (notesFirst && outbox.keeps && call.request.method === "tools/call") this.#runNoted(call, extra);
    else deliver(call.request, extra);
  }

  /** Ends a request: with its response, or without one. */
  settle(call: Call, response?: string): void {
    const { ledger, journal, outbox } = this.#parts;
    const { stream, request } = call;
    this.#running.delete(request.id);
    stream.settle(response);
    if (!outbox.keeps) return;
    if (response === undefined) journal?.forget(request.id);
    if (!stream.isOver) {
      ledger.leaving(call);
      this.#awaitLeaving(stream);
    }
    if (!this.anyRuns) outbox.noCallRuns();
  }

  /**
   * Ends a request with its server's response. A tool whose changes can't be kept is answered with that: what a client
   * gets must not count on them.
   */
  answer(call: Call, message: JsonRpcMessage): Promise<void> {
    const { journal, unwritten, initialized } = this.#parts;
    const { request, failure } = call;
    if (failure !== undefined && request.method === "tools/call") {
      this.settle(call, outcomeText(request, failure.message));
      return settled;
    }
    let json: string;
    try {
      json = JSON.stringify(message);
    } catch (error) {
      // A BigInt, say. The server has done its part, so without this the client would wait for ever.
      this.fail(call);
      return Promise.reject(error);
    }
    if (request.method === "initialize") initialized(message.result);
    const shaped = journal?.answered(message);
    if (shaped !== undefined) unwritten.journal(shaped);
    this.settle(call, json);
    return settled;
  }

  /** A value can't be kept. Whichever of the calls changed it, none may be answered as if it had been. */
  spoil(failure: Error): void {
    for (const call of this.#running.values()) call.failure ??= failure;
  }

  /** Its server failed to answer: the log says more, the client need not know. */
  fail(call: Call): void {
    this.settle(call, errorText(call.request.id, errorCode.internal, "Internal error"));
  }

  /** Servers give a cancelled request no response (2025-11-25, Cancellation), so nothing else would end its stream. */
  cancel(id: unknown): void {
    const call = this.#running.get(id as RequestId);
    if (call !== undefined && call.request.method !== "initialize") this.settle(call);
  }

  /** A call takes longer than 20 ms: that it has begun is noted before its head leaves. */
  note(stream: CallStream, opening: Departure): void {
    const { outbox } = this.#parts;
    if (!outbox.keeps) {
      opening.leave();
      return;
    }
    this.#whenKnown(stream.calls, () => {
      // It has ended while the server was asked for its tools.
      if (stream.isOver) return;
      for (const call of stream.calls) {
        if (this.#isRunning(call) && call.request.method !== "initialize") this.#begin(call);
      }
      outbox.pass(opening);
    });
  }

  /** All that a stream had to send was sent, over this connection, if over any. */
  left(stream: CallStream, sink: ResponseSink | undefined): void {
    const { ledger } = this.#parts;
    this.#departing.delete(stream);
    if (sink !== undefined && hasLeft(sink)) {
      ledger.left(stream);
      return;
    }
    for (const call of stream.calls) if (!call.isRepeat && !ledger.has(call)) ledger.leaving(call);
    if (sink === undefined) ledger.unread(stream);
    else whenLeft(sink, (whole) => (whole ? ledger.left(stream) : ledger.unread(stream)));
  }

  /** Each call gets this for an answer. */
  endAll(fault: string): void {
    for (const call of [...this.#running.values()]) {
      this.settle(call, errorText(call.request.id, errorCode.session, fault));
    }
  }

  /** Each answer ends as it is. */
  abandonAll(text: string): void {
    this.#abandoned = text;
    for (const stream of this.#streams) stream.abandon(text);
    this.#running.clear();
    this.#departing.clear();
  }

  /** What waits to leave ends with its session: at once, where this very answer found that the session is lost. */
  #awaitLeaving(stream: CallStream): void {
    if (stream.isOver || !stream.isComplete) return;
    if (this.#abandoned === undefined) this.#departing.add(stream);
    else stream.abandon(this.#abandoned);
  }

  /** Those that have something to send still. */
  get #streams(): Set<CallStream> {
    const streams = new Set(this.#departing);
    for (const { stream } of this.#running.values()) streams.add(stream);
    return streams;
  }

  #runNoted(call: Call, extra: MessageExtra): void {
    const { repeatable, outbox, deliver } = this.#parts;
    this.#whenKnown([call], () => {
      // Cancelled meanwhile, or its session is over.
      if (!this.#isRunning(call)) return;
      if (repeatable.known(call.request) === true) {
        deliver(call.request, extra);
        return;
      }
      this.#begin(call);
      outbox.pass({
        leave: () => {
          if (!this.#isRunning(call)) return;
          // What was spoilt before it ran was not spoilt by it.
          call.failure = undefined;
          deliver(call.request, extra);
        },
        refuse: () => {
          if (this.#isRunning(call)) this.settle(call, outcomeText(call.request, outcome.notBegun));
        },
      });
    });
  }

  #begin(call: Call): void {
    if (call.entry === undefined) this.#parts.ledger.begin(call);
  }

  #isRunning(call: Call): boolean {
    return this.#running.get(call.request.id) === call;
  }

  /** Goes on when the server has said of its tools which may be run again: at once, if it has. */
  #whenKnown(calls: readonly Call[], goOn: () => void): void {
    const { repeatable } = this.#parts;
    if (calls.every(({ request }) => repeatable.known(request) !== undefined)) goOn();
    else void repeatable.learn().then(goOn);
  }
}

const settled = Promise.resolve();
