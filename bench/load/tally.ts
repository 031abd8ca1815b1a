import { createHistogram, type RecordableHistogram } from "node:perf_hooks";
import type { Failure } from "./plan.ts";

const maxSamples = 10;

/** Counts what came of the calls of one phase. */
export class Tally {
  readonly failures: Record<Failure, number> = { cut: 0, unanswered: 0, late: 0, refused: 0, wrong: 0 };
  readonly samples: string[] = [];
  /** Microseconds. */
  readonly #latency: RecordableHistogram = createHistogram();
  #inARow = 0;
  calls = 0;

  answered(milliseconds: number): void {
    this.calls += 1;
    this.#inARow = 0;
    this.#latency.record(Math.max(1, Math.round(milliseconds * 1_000)));
  }

  failed(failure: Failure, why: string): void {
    this.failures[failure] += 1;
    this.#inARow += 1;
    if (this.samples.length < maxSamples) this.samples.push(`${failure}: ${why}`);
  }

  /** Many failures in a row. They cost next to nothing: a target that is gone would be asked millions of times. */
  get hopeless(): boolean {
    return this.#inARow >= 1_000;
  }

  percentileMs(percentile: number): number {
    return this.calls === 0 ? 0 : this.#latency.percentile(percentile) / 1_000;
  }

  get maxMs(): number {
    return this.calls === 0 ? 0 : this.#latency.max / 1_000;
  }
}
