import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { RefusalReason } from "../model/refusal.ts";

/**
 * What became of a request for `/mcp`. `here`: its session answered it. `relay`: the node that owns its session did,
 * which counts it as `here`. `refused`: its session can't be served, for the reason given. `rejected`: it broke a rule of
 * HTTP or MCP. `failed`: the node's own fault.
 */
export type RequestWay = "here" | "relay" | "refused" | "rejected" | "failed";

/** What a node looks up about itself when it is asked, instead of counting it on a request's way. */
export interface NodeFigures {
  /** Sessions that live on the node now. */
  readonly sessions: number;
  /** Sessions that are parked here, as far as the node remembers. */
  readonly parked: number;
  /** Open response streams now. */
  readonly streams: number;
  /** Calls that have begun and not ended. */
  readonly inFlight: number;
  /** Bytes of events that are kept for Last-Event-ID. */
  readonly retainedBytes: number;
  /** Writes to the registry that wait now, and since the start those that had to wait and those given up. */
  readonly writes: { readonly pending: number; readonly deferred: number; readonly dropped: number };
  /** Writes to the registry that no replica had in time, since the start. */
  readonly unreplicated: number;
}

const noFigures: NodeFigures = {
  sessions: 0,
  parked: 0,
  streams: 0,
  inFlight: 0,
  retainedBytes: 0,
  writes: { pending: 0, deferred: 0, dropped: 0 },
  unreplicated: 0,
};

/** The figures of one node, in a Prometheus registry of its own, so that several nodes can share a process. */
export class NodeMetrics {
  readonly #registry = new Registry();
  readonly #requests: Counter<"way" | "reason">;
  readonly #relaySeconds: Histogram;
  readonly #adoptionSeconds: Histogram;
  readonly #unparkingSeconds: Histogram;
  readonly #opened: Counter;
  readonly #parkings: Counter;
  readonly #ended: Counter<"ending">;
  readonly #moved: Counter<"way">;
  readonly #unlogged: Counter;
  readonly #registryFailures: Counter;
  /** Requests answered here: counted as a plain number, because it is counted on the way of every call. */
  #here = 0;
  #read: () => NodeFigures = () => noFigures;

  constructor() {
    const registers = [this.#registry];
    this.#requests = new Counter({
      name: "mooring_requests_total",
      help: "Requests for /mcp, by what became of them and, for refused ones, the reason",
      labelNames: ["way", "reason"],
      registers,
      collect: () => this.#collectHere(),
    });
    this.#relaySeconds = new Histogram({
      name: "mooring_relay_seconds",
      help: "Time from a relay's decision to the head of its answer, the owner's work included",
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5],
      registers,
    });
    this.#adoptionSeconds = new Histogram({
      name: "mooring_adoption_seconds",
      help: "Time in which a session whose owner was gone was restored here",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    });
    this.#unparkingSeconds = new Histogram({
      name: "mooring_unparking_seconds",
      help: "Time in which a session that was parked here was restored",
      buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    });
    this.#parkings = new Counter({
      name: "mooring_parkings_total",
      help: "Idle sessions that left the node's memory until their next request",
      registers,
    });
    this.#opened = new Counter({ name: "mooring_sessions_opened_total", help: "Sessions that began here", registers });
    this.#ended = new Counter({
      name: "mooring_sessions_ended_total",
      help: "Sessions that ended here, by how",
      labelNames: ["ending"],
      registers,
    });
    this.#moved = new Counter({
      name: "mooring_sessions_moved_total",
      help: "Sessions that this node handed over to another one (out), or took from one (in)",
      labelNames: ["way"],
      registers,
    });
    this.#unlogged = new Counter({
      name: "mooring_events_unlogged_total",
      help: "Events that left while the registry was away: nobody but this node can send them again",
      registers,
    });
    this.#registryFailures = new Counter({
      name: "mooring_registry_failures_total",
      help: "Calls to the registry that failed or were over their deadline",
      registers,
    });
    this.#gauge("mooring_sessions", "Sessions that live on this node", (now) => now.sessions);
    this.#gauge("mooring_sessions_parked", "Sessions that are parked here", (now) => now.parked);
    this.#gauge("mooring_streams", "Open response streams", (now) => now.streams);
    this.#gauge("mooring_calls_in_flight", "Calls that have begun and not ended", (now) => now.inFlight);
    this.#gauge("mooring_retained_bytes", "Bytes of events kept for Last-Event-ID", (now) => now.retainedBytes);
    this.#gauge("mooring_registry_writes_pending", "Writes that wait for the registry", (now) => now.writes.pending);
    this.#total(
      "mooring_registry_writes_deferred_total",
      "Writes to the registry that had to wait",
      (now) => now.writes.deferred,
    );
    this.#total(
      "mooring_registry_writes_dropped_total",
      "Writes to the registry that were given up",
      (now) => now.writes.dropped,
    );
    this.#total(
      "mooring_registry_writes_unreplicated_total",
      "Writes to the registry that no replica had in time",
      (now) => now.unreplicated,
    );
  }

  /** Where the figures of the moment come from; asked at each scrape. */
  observe(read: () => NodeFigures): void {
    this.#read = read;
  }

  request(way: RequestWay, reason: RefusalReason | "" = ""): void {
    if (way === "here") this.#here += 1;
    else this.#requests.inc({ way, reason });
  }

  /** A request was passed on, and its answer began after so many milliseconds. */
  relayed(ms: number): void {
    this.request("relay");
    this.#relaySeconds.observe(ms / 1_000);
  }

  sessionOpened(): void {
    this.#opened.inc();
  }

  /** A session was restored here within so many milliseconds: one whose owner was gone, or that was parked here. */
  adopted(ms: number, from: "gone" | "parked"): void {
    (from === "parked" ? this.#unparkingSeconds : this.#adoptionSeconds).observe(ms / 1_000);
  }

  sessionParked(): void {
    this.#parkings.inc();
  }

  sessionEnded(ending: string): void {
    this.#ended.inc({ ending });
  }

  /** A session was handed over to another node, or taken from one. */
  moved(way: "in" | "out"): void {
    this.#moved.inc({ way });
  }

  leftUnlogged(count: number): void {
    this.#unlogged.inc(count);
  }

  registryFailed(): void {
    this.#registryFailures.inc();
  }

  /** All figures, in the text format of Prometheus. */
  async text(): Promise<{ readonly contentType: string; readonly body: string }> {
    return { contentType: this.#registry.contentType, body: await this.#registry.metrics() };
  }

  #collectHere(): void {
    this.#requests.inc({ way: "here", reason: "" }, this.#here);
    this.#here = 0;
  }

  #gauge(name: string, help: string, pick: (figures: NodeFigures) => number): void {
    const read = () => this.#read();
    new Gauge({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.set(pick(read()));
      },
    });
  }

  #total(name: string, help: string, pick: (figures: NodeFigures) => number): void {
    const read = () => this.#read();
    new Counter({
      name,
      help,
      registers: [this.#registry],
      collect() {
        this.reset();
        this.inc(pick(read()));
      },
    });
  }
}
