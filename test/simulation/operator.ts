import type { Faults } from "./faults.ts";
import { Process, until, type Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import type { World } from "./world.ts";

/** Long enough for every call: nothing is cut. */
const patientMs = 8_000;

interface Replacement {
  readonly deadlineMs: number;
  /** The version of the app that is started; undefined: the same. */
  readonly app: number | undefined;
}

interface Rolling extends Replacement {
  /** How many nodes at once. */
  readonly together: number;
}

/** What somebody plans with the nodes: to drain them, and to start them again, also with a newer app. */
export class Operator {
  readonly #world: World;
  readonly #faults: Faults;
  readonly #process: Process;
  #underWay = 0;

  constructor(world: World, faults: Faults) {
    this.#world = world;
    this.#faults = faults;
    this.#process = new Process(world.scheduler);
  }

  get isDone(): boolean {
    return this.#underWay === 0;
  }

  /** Plans what begins between two times. With nothing else going on, at all times some other node is up. */
  plan(from: number, to: number, isAllThereIs: boolean): void {
    const { random, nodes } = this.#world;
    const tags = random.shuffled([...nodes.keys()]);
    if (isAllThereIs) {
      const begins = random.between(from, (from + to) / 2);
      const app = random.chance(0.5) ? 2 : undefined;
      const together = tags.length > 2 && random.chance(0.4) ? 2 : 1;
      const rolling = this.#rolling(tags, { deadlineMs: patientMs, app, together }, begins);
      this.#begin(random.chance(0.3) ? this.#inTurn(this.#drainAndCancel(random.pick(tags), from), rolling) : rolling);
      return;
    }
    const many = random.pick([1, 1, 2, 2, 3]);
    for (let i = 0; i < many; i++) {
      const begins = random.between(from, to);
      const deadlineMs = random.pick([500, 2_500, patientMs]);
      const app = random.chance(0.3) ? 2 : undefined;
      if (random.chance(0.25)) this.#begin(this.#rolling(tags, { deadlineMs, app, together: 1 }, begins));
      else if (random.chance(0.3)) this.#begin(this.#drainAndCancel(random.pick(tags), begins));
      else {
        // Two at once may have nobody but each other.
        const together = tags.slice(0, random.chance(0.4) ? 2 : 1);
        for (const tag of together) {
          this.#begin(this.#replace(tag, { deadlineMs, app }, begins + random.between(0, 1_500)));
        }
      }
    }
  }

  #begin(work: Work<void>): void {
    this.#underWay += 1;
    this.#process.do(work, () => {
      this.#underWay -= 1;
    });
  }

  *#rolling(tags: readonly string[], replacement: Rolling, begins: number): Work<void> {
    const { nodes, random } = this.#world;
    for (let at = 0; at < tags.length; at += replacement.together) {
      const group = tags.slice(at, at + replacement.together);
      let left = group.length;
      for (const tag of group) {
        this.#process.do(this.#replace(tag, replacement, begins + random.between(0, 500)), () => {
          left -= 1;
        });
      }
      // The next ones wait for the new incarnations.
      yield* this.#waitFor(() => left === 0, 75_000);
      yield* this.#waitFor(() => group.every((tag) => nodes.get(tag)?.isMember === true), 12_000);
      yield* this.#pause(random.between(0, 1_500));
    }
  }

  *#inTurn(...works: readonly Work<void>[]): Work<void> {
    for (const work of works) yield* work;
  }

  *#replace(tag: string, { deadlineMs, app }: Replacement, begins: number): Work<void> {
    const { nodes, random, scheduler, observer } = this.#world;
    yield* this.#pause(Math.max(0, begins - scheduler.now));
    const node = nodes.get(tag);
    if (node === undefined || node.process.isGone || !node.isMember) return;
    yield* this.#tell(node, () => node.drain.begin({ deadlineMs, thenStops: true }));
    const isGone = () => node.process.isGone;
    yield* this.#waitFor(isGone, 60_000);
    yield* this.#pause(random.between(50, 1_500));
    if (!node.process.isGone || nodes.get(tag) !== node) return;
    const again = this.#faults.start(tag, Math.max(node.app, app ?? 0));
    observer.note(() => `${again.incarnation} starts with version ${again.app}`);
  }

  *#drainAndCancel(tag: string, begins: number): Work<void> {
    const { nodes, random, scheduler, observer } = this.#world;
    yield* this.#pause(Math.max(0, begins - scheduler.now));
    const node = nodes.get(tag);
    if (node === undefined || node.process.isGone || !node.isMember) return;
    yield* this.#tell(node, () => node.drain.begin({ deadlineMs: patientMs, thenStops: false }));
    yield* this.#pause(random.between(100, 6_000));
    observer.counts["drains cancelled"] += 1;
    yield* this.#tell(node, () => node.drain.cancel());
  }

  /** Waits until the node has heard it, or is gone. */
  #tell({ process }: SimNode, what: () => void): Work<void> {
    return until<void>((done) => {
      if (process.isGone) done();
      process.onGone(() => done());
      process.handle(() => {
        what();
        done();
      });
    });
  }

  *#waitFor(isSo: () => boolean, mostMs: number): Work<void> {
    for (let waited = 0; !isSo() && waited < mostMs; waited += 100) yield* this.#pause(100);
  }

  #pause(ms: number): Work<void> {
    return until<void>((done) => this.#world.scheduler.after(ms, () => done()));
  }
}
