import type { StoredSession } from "../../src/ports/registry.ts";
import { Copy } from "./copy.ts";
import type { Work } from "./process.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import { isRegistryGoneForAll, times, type World } from "./world.ts";

/** The sessions that a node holds: it keeps what changes of them, and gives them up. */
export class Owning {
  readonly copies = new Map<string, Copy>();
  readonly #world: World;
  readonly #node: SimNode;

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  add(copy: Copy): void {
    this.copies.set(copy.id, copy);
    this.#node.parking.parked.delete(copy.id);
    this.#node.moves.isHere(copy.id);
    this.#node.serving.startTask(copy);
  }

  take(stored: StoredSession): Copy {
    const node = this.#node;
    const { observer, scheduler } = this.#world;
    const { id } = stored.record;
    const shape = shapeOf(stored);
    if (shape > node.app) observer.fail(`${node.incarnation} can't read ${id}: version ${shape} of its state`);
    const copy = Copy.restored(stored, node.clock.read().monotonic, node.app);
    copy.keptAt = scheduler.now;
    copy.noted = node.generations.known;
    observer.counts.adopted += 1;
    observer.moved(id, scheduler.now);
    const facts = observer.of(id);
    if (facts.parked) observer.counts.unparked += 1;
    facts.parked = false;
    // What only the copy of a frozen node had is lost already, though that node does not know it yet.
    for (const { process, owning } of this.#world.nodes.values()) {
      const before = owning.copies.get(copy.id);
      if (!process.isGone && before !== undefined) owning.lost(before);
    }
    this.add(copy);
    return copy;
  }

  drop(copy: Copy, why: string): void {
    if (copy.gone !== undefined) return;
    const { observer } = this.#world;
    observer.note(() => `${this.#node.incarnation} drops ${copy.id} of epoch ${copy.fence.epoch}: ${why}`);
    const facts = observer.of(copy.id);
    if (why === "closed elsewhere" && !facts.closing && facts.excused === undefined) {
      observer.fail(`${this.#node.incarnation} takes ${copy.id} for closed, and nobody closed it`);
    }
    this.lost(copy);
    this.#remove(copy, why);
  }

  /** It goes on elsewhere, or later. */
  putAway(copy: Copy, why: "moved" | "parked"): void {
    const { observer, registry, rules } = this.#world;
    observer.note(() => `${this.#node.incarnation} puts ${copy.id} of epoch ${copy.fence.epoch} away: ${why}`);
    // It had been confirmed that it was there, a moment ago.
    const isConfirmed = why === "moved" ? rules.leavesWritten : rules.parksWritten;
    if (registry.emptiedAt > copy.keptAt) {
      if (isConfirmed) observer.excuse(copy.id, "the registry was emptied while its copy was put away");
      else observer.of(copy.id).givenUpUnkept = true;
    }
    if (why === "parked") observer.of(copy.id).parked = true;
    this.#remove(copy, why);
  }

  #remove(copy: Copy, why: string): void {
    copy.gone = why;
    this.copies.delete(copy.id);
  }

  /** Its time is over, and its state can't move. */
  endPinned(copy: Copy): void {
    const { observer } = this.#world;
    observer.of(copy.id).mayEnd = true;
    observer.counts["pinned, and ended"] += 1;
    this.drop(copy, "pinned");
  }

  /** Ends a copy whose session goes on elsewhere, when all of it is written; if it can't be, it goes on here. */
  *leave(copy: Copy, isCut: boolean): Work<"left" | "stayed" | "lost"> {
    const { rules, scheduler, observer } = this.#world;
    if (copy.gone !== undefined) return "lost";
    copy.taskStarts += 1;
    // They are told that they may have run: a repeat must not run them.
    if (isCut) for (const call of copy.calls.keys()) copy.begin(call, scheduler.now);
    for (let attempt = 0; attempt < 3; attempt++) {
      // Also when nothing is unwritten: that it is still there, only an answer can tell.
      const written = rules.leavesWritten ? yield* this.write(copy) : "written";
      if (written === "lost" || copy.gone !== undefined || !this.#node.mayOwn()) return "lost";
      if (written === "unavailable" || (rules.leavesWritten && copy.written < copy.version)) continue;
      if (isCut) for (const run of copy.calls.values()) run.stage = "logged";
      this.putAway(copy, "moved");
      return "left";
    }
    observer.counts["kept, unwritten"] += 1;
    this.#node.serving.startTask(copy);
    return "stayed";
  }

  dropAll(why: string): void {
    for (const copy of [...this.copies.values()]) this.drop(copy, why);
  }

  /** Two faults at once may lose what this copy alone had. */
  lost(copy: Copy): void {
    const { observer, registry } = this.#world;
    const served = observer.of(copy.id).served;
    if (served !== undefined && served.epoch > copy.fence.epoch) return;
    if (copy.answeredUnwritten > copy.written) observer.excuse(copy.id, "answered while the registry was away for all");
    if (registry.emptiedAt > copy.keptAt) observer.excuse(copy.id, "the registry was emptied, then its owner ended");
  }

  /** Whether this node may serve the session now; it says so to whoever watches. */
  serves(copy: Copy): boolean {
    if (copy.gone !== undefined || !this.#node.mayOwn()) return false;
    this.#world.observer.serves(copy.id, copy.fence.epoch, this.#node.incarnation);
    return true;
  }

  /** Writes what changed; it may be that only the copy in memory has it, for a reason. */
  *keep(copy: Copy, version: number): Work<"kept" | "unwritten" | "lost" | "failed"> {
    const node = this.#node;
    const { rules } = this.#world;
    const began = node.clock.read().monotonic;
    for (;;) {
      if (copy.gone !== undefined) return "lost";
      if (copy.written >= version) return "kept";
      const written = yield* this.write(copy);
      if (written === "written") continue;
      if (written === "lost") return "lost";
      const allPromised = node.allPromised();
      if (rules.answersUnwritten === "when-registry-fails" || allPromised) {
        if (allPromised || isRegistryGoneForAll(this.#world)) copy.answeredUnwritten = version;
        return "unwritten";
      }
      if (node.clock.read().monotonic - began > times.hold) return "failed";
      yield* node.sleep(100);
    }
  }

  /** One attempt. */
  *write(copy: Copy): Work<"written" | "lost" | "unavailable"> {
    for (let attempt = 0; attempt < 3; attempt++) {
      const { changes, kept } = copy.changes();
      const noted = copy.noted;
      const answer = yield* this.#node.link.ask((store, now) => ({
        written: store.write(copy.id, copy.fence, changes, now),
        at: now,
      }));
      if (copy.gone !== undefined) return "lost";
      if (answer === unavailable) return "unavailable";
      const { written, at } = answer;
      if (written.kind === "written") {
        kept(at);
        return "written";
      }
      if (written.kind === "fenced") {
        this.drop(copy, `fenced by epoch ${written.by.epoch}`);
        return "lost";
      }
      const again = yield* this.note(copy, { missingFrom: noted });
      if (again !== "noted") return again;
    }
    return "unavailable";
  }

  /**
   * Notes a session in the registry. `missing`: it was not there, in which generation it had been noted when that was
   * asked: the same one still, and it was closed; another one, and it was lost.
   */
  *note(copy: Copy, missing?: { readonly missingFrom: string | undefined }): Work<"noted" | "lost" | "unavailable"> {
    const node = this.#node;
    const before = node.generations.known;
    const generation = yield* node.generations.read();
    if (copy.gone !== undefined) return "lost";
    if (generation === unavailable) return "unavailable";
    const since = this.#world.rules.generationBySession ? missing?.missingFrom : before;
    if (missing !== undefined && since === generation) {
      this.drop(copy, "closed elsewhere");
      return "lost";
    }
    copy.unwritten(this.#world.scheduler.now);
    const record = copy.record(node.tag);
    const claimed = yield* node.link.ask((store, now) => store.claim(record, now));
    if (copy.gone !== undefined) return "lost";
    if (claimed === unavailable) return "unavailable";
    if (claimed.kind === "claimed") {
      copy.noted = generation;
      return "noted";
    }
    this.drop(copy, claimed.kind === "closed" ? "closed elsewhere" : `fenced by epoch ${claimed.by.epoch}`);
    return "lost";
  }

  /** After each sign of life: writes what the registry lost, or what could not be written before. */
  *catchUp(): Work<void> {
    for (const copy of [...this.copies.values()]) {
      if (copy.gone !== undefined) continue;
      if (copy.noted !== this.#node.generations.known && (yield* this.note(copy)) === "unavailable") return;
      if (copy.gone === undefined && copy.written < copy.version && (yield* this.write(copy)) === "unavailable") return;
    }
  }
}

/** The version of the shape that a session's state is kept in. */
export function shapeOf({ state }: StoredSession): number {
  return Number(state.shape ?? 1);
}
