import type { Copy } from "./copy.ts";
import type { Run } from "./observer.ts";
import type { Work } from "./process.ts";
import type { Answer, Ask, Served } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { quickMs, type World } from "./world.ts";

/** What the sessions of a node do: they answer requests, and their tasks send notifications. */
export class Serving {
  readonly #world: World;
  readonly #node: SimNode;

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Serves a request of a session that is held here. `head`: an answer has begun to leave. */
  *serve(copy: Copy, ask: Served, head: () => void): Work<Answer | "moved"> {
    copy.requests += 1;
    copy.usedAt = this.#node.clock.read().monotonic;
    const answer = yield* this.#serve(copy, ask, head);
    copy.requests -= 1;
    copy.usedAt = this.#node.clock.read().monotonic;
    return answer;
  }

  *#serve(copy: Copy, ask: Served, head: () => void): Work<Answer | "moved"> {
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

  *#call(copy: Copy, { kind, call, ms }: Extract<Ask, { call: string; ms: number }>, head: () => void): Work<Answer> {
    const { observer, rules } = this.#world;
    const node = this.#node;
    if (copy.calls.has(call) || copy.begunBefore.has(call)) return { kind: "may-have-run" };
    const run = observer.runs(copy.id, call, node.incarnation);
    copy.calls.set(call, run);
    if (ms > quickMs) {
      yield* node.sleep(quickMs);
      if (!(yield* this.#log(copy, call, run))) return this.#interrupted(copy, call, run);
      if (!this.#node.owning.serves(copy)) return this.#interrupted(copy, call, run);
      head();
      yield* node.sleep(ms - quickMs);
    } else yield* node.sleep(ms);
    if (copy.gone !== undefined) return this.#interrupted(copy, call, run);

    if (kind === "count") {
      copy.count += 1;
      copy.version += 1;
    }
    const { count, version } = copy;
    if (rules.writes === "before-answer" || kind === "append") {
      const kept = kind === "count" ? yield* this.#node.owning.keep(copy, version) : "kept";
      if (kept === "lost") return this.#interrupted(copy, call, run);
      if (kept === "failed") {
        this.#given(copy, call);
        return { kind: "may-have-run" };
      }
    }
    if (!this.#node.owning.serves(copy)) return this.#interrupted(copy, call, run);
    copy.calls.delete(call);
    copy.end(call);
    run.stage = "answered";
    if (rules.writes === "after-answer" && kind === "count") node.process.do(this.#node.owning.keep(copy, version));
    return kind === "count" ? { kind, count } : { kind: "done" };
  }

  /** Before the head of an answer leaves, the registry knows that the call has begun. */
  *#log(copy: Copy, call: string, run: Run): Work<boolean> {
    copy.begin(call, this.#world.scheduler.now);
    run.stage = "writing";
    const kept = yield* this.#node.owning.keep(copy, copy.version);
    if (kept === "kept") run.stage = "logged";
    else if (kept !== "lost") run.stage = "unwritten";
    return kept !== "lost";
  }

  /** The session was dropped while a call of it ran: whether its client learns so decides whether it sends it again. */
  #interrupted(copy: Copy, call: string, run: Run): Answer {
    const answers = this.#world.rules.answersDroppedCalls;
    this.#given(copy, call);
    if (run.stage !== "logged") run.stage = answers ? "answered" : "dropped";
    return answers ? { kind: "may-have-run" } : { kind: "broken" };
  }

  /** It runs no more, and is not run again. */
  #given(copy: Copy, call: string): void {
    copy.calls.delete(call);
    copy.begunBefore.add(call);
  }

  *#resume(copy: Copy, call: string): Work<Answer | "moved"> {
    for (let waited = 0; copy.calls.has(call) && waited < 4_000; waited += 200) yield* this.#node.sleep(200);
    if (isAway(copy)) return "moved";
    return this.#node.owning.serves(copy) ? { kind: "may-have-run" } : { kind: "broken" };
  }

  *#listen(copy: Copy, after: number): Work<Answer> {
    for (let waited = 0; waited < 2_000; waited += 400) {
      // The stream ends without a fault: its client asks again, and is led to where the session is.
      if (isAway(copy)) return { kind: "events", events: [] };
      if (!this.#node.owning.serves(copy)) return { kind: "broken" };
      const events = copy.events.slice(after, copy.sent);
      if (events.length > 0) return { kind: "events", events };
      yield* this.#node.sleep(400);
    }
    return { kind: "events", events: [] };
  }

  /** An earlier start of it ends. */
  startTask(copy: Copy): void {
    copy.taskStarts += 1;
    this.#node.process.do(this.#announce(copy, copy.taskStarts));
  }

  /** The session's task: it sends a notification now and then, each written before it is sent. */
  *#announce(copy: Copy, start: number): Work<void> {
    for (;;) {
      yield* this.#node.sleep(this.#world.random.between(500, 2_500));
      if (copy.taskStarts !== start || !this.#node.owning.serves(copy)) return;
      const { sequence } = copy.announce(this.#world.scheduler.now);
      const { version } = copy;
      for (
        let kept = yield* this.#node.owning.keep(copy, version);
        kept !== "kept";
        kept = yield* this.#node.owning.keep(copy, version)
      ) {
        if (kept === "lost") return;
        if (kept === "unwritten") break;
      }
      copy.sent = sequence;
    }
  }
}

/** Whether it goes on elsewhere, or later. */
function isAway({ gone }: Copy): boolean {
  return gone === "moved" || gone === "parked";
}
