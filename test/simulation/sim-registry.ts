import { until, type Work } from "./process.ts";
import type { Rules } from "./rules.ts";
import { Store } from "./store.ts";
import { times, type World } from "./world.ts";

/** The registry's process: it may be away, or frozen, and then does late what it was asked in time. */
export class SimRegistry {
  readonly store: Store;
  #unreachable = 0;
  #frozen = 0;
  #waiting: (() => void)[] = [];
  emptiedAt = Number.NEGATIVE_INFINITY;
  readonly met = { away: 0, frozen: 0 };

  constructor(rules: Rules) {
    this.store = new Store(rules);
  }

  get isAway(): boolean {
    return this.#unreachable > 0 || this.#frozen > 0;
  }

  leave(): () => void {
    this.#unreachable += 1;
    return () => {
      this.#unreachable -= 1;
    };
  }

  freeze(): () => void {
    this.#frozen += 1;
    return () => {
      this.#frozen -= 1;
      if (this.#frozen > 0) return;
      const waiting = this.#waiting;
      this.#waiting = [];
      for (const act of waiting) act();
    };
  }

  receive(act: () => void): void {
    if (this.#unreachable > 0) {
      this.met.away += 1;
    } else if (this.#frozen > 0) {
      this.met.frozen += 1;
      this.#waiting.push(act);
    } else act();
  }
}

export const unavailable = Symbol("unavailable");

interface From {
  readonly tag: string;
  readonly incarnation: string;
  /** That of its clock. */
  readonly rate: number;
}

/** A node's connection to the registry: commands in their order, each with a deadline. */
export class RegistryLink {
  readonly #world: World;
  readonly #from: From;

  constructor(world: World, from: From) {
    this.#world = world;
    this.#from = from;
  }

  *ask<T>(command: (store: Store, now: number) => T): Work<T | typeof unavailable> {
    const { network, observer, registry, scheduler } = this.#world;
    const { tag, incarnation, rate } = this.#from;
    return yield* until<T | typeof unavailable>((done) => {
      scheduler.after(times.command / rate, () => done(unavailable));
      const run = () => {
        const result = command(registry.store, scheduler.now);
        observer.checkClosed((id) => registry.store.find(id, scheduler.now) !== undefined);
        observer.note(() => `  registry, for ${incarnation}: ${shown(command)} = ${shown(result)}`);
        network.carry("registry", tag, () => done(result), { inOrder: `registry>${incarnation}` });
      };
      const arrive = () => registry.receive(run);
      network.carry(tag, "registry", arrive, { inOrder: `${incarnation}>registry` });
      if (network.doubles()) network.carry(tag, "registry", arrive, { inOrder: `${incarnation}>registry` });
    });
  }
}

function shown(what: unknown): string {
  const text = typeof what === "function" ? String(what).replaceAll(/\s+/g, " ") : (JSON.stringify(what) ?? "nothing");
  return text.slice(0, 140);
}
