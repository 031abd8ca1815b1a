import type { Random } from "./random.ts";
import type { Scheduler } from "./scheduler.ts";

/** Where clients come from: its messages are late at worst, or its connections end. */
export const edge = "edge";

interface Carriage {
  readonly inOrder?: string;
  readonly lost?: () => void;
}

/** What lies between the nodes, the registry and the edge: messages take their time, are lost, or come twice. */
export class Network {
  readonly #scheduler: Scheduler;
  readonly #random: Random;
  readonly #cuts = new Map<string, number>();
  /** The last arrival of each ordered connection. */
  readonly #lastArrival = new Map<string, number>();
  /** The most that a message takes longer now, in milliseconds. */
  slowMs = 0;
  /** How many of the messages are lost now, from 0 to 1. */
  losing = 0;
  /** How many commands the registry gets twice now, from 0 to 1. */
  doubling = 0;
  /** Until when, at least, messages are cut, lost or slow. */
  troubledUntil = Number.NEGATIVE_INFINITY;
  readonly met = { cut: 0, slow: 0, lost: 0, doubled: 0 };

  constructor(scheduler: Scheduler, random: Random) {
    this.#scheduler = scheduler;
    this.#random = random;
  }

  cut(one: string, other: string): () => void {
    const key = keyOf(one, other);
    this.#cuts.set(key, (this.#cuts.get(key) ?? 0) + 1);
    return () => {
      this.#cuts.set(key, (this.#cuts.get(key) ?? 1) - 1);
    };
  }

  isCut(one: string, other: string): boolean {
    return (this.#cuts.get(keyOf(one, other)) ?? 0) > 0;
  }

  /**
   * `inOrder` names a connection whose messages don't overtake each other; `lost`: what becomes of it when the message
   * does not arrive, if that is ever noticed.
   */
  carry(from: string, to: string, arrive: () => void, { inOrder, lost = () => {} }: Carriage = {}): void {
    if (this.#isLost(from, to)) {
      lost();
      return;
    }
    let ms = this.#random.between(0.2, 3);
    if (this.slowMs > 0 && this.#random.chance(0.3)) {
      this.met.slow += 1;
      ms += this.#random.between(0, this.slowMs);
      this.#trouble(ms);
    }
    if (inOrder !== undefined) {
      const at = Math.max(this.#scheduler.now + ms, this.#lastArrival.get(inOrder) ?? 0);
      this.#lastArrival.set(inOrder, at);
      ms = at - this.#scheduler.now;
    }
    this.#scheduler.after(ms, () => {
      if (!this.isCut(from, to)) {
        arrive();
        return;
      }
      this.met.cut += 1;
      this.#trouble(0);
      lost();
    });
  }

  doubles(): boolean {
    if (this.doubling === 0 || !this.#random.chance(this.doubling)) return false;
    this.met.doubled += 1;
    return true;
  }

  #trouble(forMs: number): void {
    this.troubledUntil = Math.max(this.troubledUntil, this.#scheduler.now + forMs);
  }

  #isLost(from: string, to: string): boolean {
    if (this.isCut(from, to)) {
      this.met.cut += 1;
      this.#trouble(0);
      return true;
    }
    if (this.losing > 0 && from !== edge && to !== edge && this.#random.chance(this.losing)) {
      this.met.lost += 1;
      this.#trouble(0);
      return true;
    }
    return false;
  }
}

function keyOf(one: string, other: string): string {
  return one < other ? `${one}|${other}` : `${other}|${one}`;
}
