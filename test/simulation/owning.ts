import type { StoredSession } from "../../src/ports/registry.ts";
import { Copy } from "./copy.ts";
import type { Run } from "./observer.ts";
import type { Work } from "./process.ts";
import type { Answer, Ask } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import { isRegistryGoneForAll, quickMs, times, type World } from "./world.ts";

/** The sessions that a node holds: it serves them, keeps what changes, and gives them up. */
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
    this.#node.process.do(this.#announce(copy));
  }

  take(stored: StoredSession): Copy {
    const copy = Copy.restored(stored);
    copy.keptAt = this.#world.scheduler.now;
    copy.noted = this.#node.generation;
    this.#world.observer.counts.adopted += 1;
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
    copy.gone = why;
    this.copies.delete(copy.id);
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

  /** Serves a request of a session that is held here. `head`: an answer has begun to leave. */
  *serve(copy: Copy, ask: Exclude<Ask, { kind: "close" }>, head: () => void): Work<Answer> {
    switch (ask.kind) {
      case "count":
      case "append":
        return yield* this.#call(copy, ask, head);
      case "resume":
        return yield* this.#resume(copy, ask.call);
      case "listen":
        return yield* this.#listen(copy, ask.after);
    }
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
      const written = yield* this.#node.link.ask((store, now) => store.write(copy.id, copy.fence, changes, now));
      if (copy.gone !== undefined) return "lost";
      if (written === unavailable) return "unavailable";
      if (written.kind === "written") {
        kept(this.#world.scheduler.now);
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
    const before = node.generation;
    const generation = yield* node.readGeneration();
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
      if (copy.noted !== this.#node.generation && (yield* this.note(copy)) === "unavailable") return;
      if (copy.gone === undefined && copy.written < copy.version && (yield* this.write(copy)) === "unavailable") return;
    }
  }

  *#call(copy: Copy, { kind, call, ms }: Extract<Ask, { call: string; ms: number }>, head: () => void): Work<Answer> {
    const { observer, rules } = this.#world;
    const node = this.#node;
    if (copy.calls.has(call) || copy.begunBefore.has(call)) return { kind: "may-have-run" };
    copy.calls.add(call);
    const run = observer.runs(copy.id, call, node.incarnation);
    if (ms > quickMs) {
      yield* node.sleep(quickMs);
      if (!(yield* this.#log(copy, call, run))) return this.#interrupted(run);
      if (!this.serves(copy)) return this.#interrupted(run);
      head();
      yield* node.sleep(ms - quickMs);
    } else yield* node.sleep(ms);
    if (copy.gone !== undefined) return this.#interrupted(run);

    if (kind === "count") {
      copy.count += 1;
      copy.version += 1;
    }
    const { count, version } = copy;
    if (rules.writes === "before-answer" || kind === "append") {
      const kept = kind === "count" ? yield* this.keep(copy, version) : "kept";
      if (kept === "lost") return this.#interrupted(run);
      if (kept === "failed") return { kind: "may-have-run" };
    }
    if (!this.serves(copy)) return this.#interrupted(run);
    copy.calls.delete(call);
    copy.end(call);
    run.stage = "answered";
    if (rules.writes === "after-answer" && kind === "count") node.process.do(this.keep(copy, version));
    return kind === "count" ? { kind, count } : { kind: "done" };
  }

  /** Before the head of an answer leaves, the registry knows that the call has begun. */
  *#log(copy: Copy, call: string, run: Run): Work<boolean> {
    copy.begin(call, this.#world.scheduler.now);
    run.stage = "writing";
    const kept = yield* this.keep(copy, copy.version);
    if (kept === "kept") run.stage = "logged";
    else if (kept !== "lost") run.stage = "unwritten";
    return kept !== "lost";
  }

  /** The session was dropped while a call of it ran: whether its client learns so decides whether it sends it again. */
  #interrupted(run: Run): Answer {
    const answers = this.#world.rules.answersDroppedCalls;
    if (run.stage !== "logged") run.stage = answers ? "answered" : "dropped";
    return answers ? { kind: "may-have-run" } : { kind: "broken" };
  }

  *#resume(copy: Copy, call: string): Work<Answer> {
    for (let waited = 0; copy.calls.has(call) && waited < 4_000; waited += 200) yield* this.#node.sleep(200);
    return this.serves(copy) ? { kind: "may-have-run" } : { kind: "broken" };
  }

  *#listen(copy: Copy, after: number): Work<Answer> {
    for (let waited = 0; waited < 2_000; waited += 400) {
      if (!this.serves(copy)) return { kind: "broken" };
      const events = copy.events.slice(after, copy.sent);
      if (events.length > 0) return { kind: "events", events };
      yield* this.#node.sleep(400);
    }
    return { kind: "events", events: [] };
  }

  /** The session's task: it sends a notification now and then, each written before it is sent. */
  *#announce(copy: Copy): Work<void> {
    for (;;) {
      yield* this.#node.sleep(this.#world.random.between(500, 2_500));
      if (!this.serves(copy)) return;
      const { sequence } = copy.announce(this.#world.scheduler.now);
      const { version } = copy;
      for (let kept = yield* this.keep(copy, version); kept !== "kept"; kept = yield* this.keep(copy, version)) {
        if (kept === "lost") return;
        if (kept === "unwritten") break;
      }
      copy.sent = sequence;
    }
  }
}
