import { edge } from "./network.ts";
import { Process, until, type Work } from "./process.ts";
import { type Answer, type Ask, homeOf, type Request } from "./requests.ts";
import type { World } from "./world.ts";

/** A client that has heard nothing for so long gives up. */
const patienceMs = 40_000;

/** Where nothing goes wrong, no call waits so long for a move. */
const noticedMs = 3_000;

interface Ended {
  readonly answer: Answer | { readonly kind: "refused-connection" } | { readonly kind: "gave-up" };
  /** Whether the head of an answer had come. */
  readonly head: boolean;
}

/** A client with one session, behind the edge: it calls, listens, asks again for what broke, and ends it sometimes. */
export class Client {
  readonly #world: World;
  readonly #process: Process;
  readonly #number: number;
  #id: string | undefined;
  #calls = 0;
  /** Sessions that it asked to end. */
  readonly #ended: string[] = [];
  /** When a call was last answered that began at that time or later. */
  servedSince = Number.NEGATIVE_INFINITY;
  /** Whether faults are over: then it only counts. */
  settling = false;
  /** Until when it does nothing, so that its session may be parked. */
  #restsUntil = 0;
  /** Whether nothing may fail, because nothing goes wrong. */
  readonly #failsNever: boolean;

  constructor(world: World, number: number, { failsNever }: { readonly failsNever: boolean }) {
    this.#world = world;
    this.#number = number;
    this.#failsNever = failsNever;
    this.#process = new Process(world.scheduler);
    this.#process.do(this.#live());
    if (world.random.chance(0.3)) this.#process.do(this.#callMore());
  }

  /** Its session, while it has one that has to be served. */
  get id(): string | undefined {
    return this.#id;
  }

  /** Calls what it has ended once more: it must not be served. */
  callEnded(): void {
    const { observer } = this.#world;
    for (const id of this.#ended) {
      const ask: Ask = { kind: "count", call: "after its end", ms: 0 };
      this.#process.do(this.#send({ session: id, ask }), ({ answer }) => {
        if (answer.kind === "count" && observer.of(id).closed) observer.fail(`${id} was closed, and is served again`);
      });
    }
  }

  *#live(): Work<void> {
    const { random, observer, scheduler } = this.#world;
    if (random.chance(0.4)) yield* this.#pause(random.between(0, 12_000));
    for (;;) {
      yield* this.#pause(random.between(100, 900));
      const id = this.#id;
      if (id === undefined) {
        yield* this.#begin();
        continue;
      }
      const facts = observer.of(id);
      if (!this.settling && random.chance(0.05)) {
        this.#restsUntil = scheduler.now + random.between(2_000, 6_000);
        yield* this.#rest();
      }
      if (!this.settling && !facts.closing && random.chance(0.03)) {
        facts.closing = true;
        yield* this.#send({ session: id, ask: { kind: "close" } });
      } else yield* this.#call(id);
      // What it ended, or what two faults at once may have taken, makes room for another session.
      if (facts.closing || facts.mayEnd || facts.excused !== undefined) {
        if (facts.closing) this.#ended.push(id);
        this.#id = undefined;
        this.servedSince = Number.NEGATIVE_INFINITY;
      }
    }
  }

  /** Some clients have more than one call under way. */
  *#callMore(): Work<void> {
    while (!this.settling) {
      yield* this.#pause(this.#world.random.between(50, 600));
      yield* this.#rest();
      if (this.#id !== undefined) yield* this.#call(this.#id);
    }
  }

  *#rest(): Work<void> {
    const { scheduler } = this.#world;
    if (this.#restsUntil > scheduler.now) yield* this.#pause(this.#restsUntil - scheduler.now);
  }

  *#begin(): Work<void> {
    const { random, nodes, network } = this.#world;
    const tag = random.pick([...nodes.keys()]);
    const id = `${tag}.${this.#number}-${this.#calls++}`;
    const isPinned = random.chance(0.04);
    const opened = yield* until<boolean>((done) => {
      this.#world.scheduler.after(3_000, () => done(false));
      network.carry(edge, tag, () => {
        const node = nodes.get(tag);
        node?.process.handle(() =>
          node.process.do(node.adopting.open(id, isPinned), (did) => network.carry(tag, edge, () => done(did))),
        );
      });
    });
    if (!opened) return;
    this.#id = id;
    this.#process.do(this.#listen(id));
  }

  *#call(id: string): Work<void> {
    const { random, observer, scheduler } = this.#world;
    const call = `${++this.#calls}`;
    const ms = random.chance(0.6) ? random.between(0, 15) : random.between(15, 2_000);
    const append = !this.settling && random.chance(0.35);
    const ask: Ask = { kind: append ? "append" : "count", call, ms };
    const began = scheduler.now;
    const floor = observer.of(id).acknowledged;
    let ended = yield* this.#send({ session: id, ask });
    for (let repeats = 0; repeats < 2 && ended.answer.kind === "broken"; repeats++) {
      // A POST is repeated only where nothing of its answer came.
      if (!ended.head && random.chance(0.3)) break;
      yield* this.#pause(random.between(10, 1_200));
      ended = yield* this.#send({ session: id, ask: ended.head ? { kind: "resume", call } : ask });
    }
    const { answer } = ended;
    const waited = scheduler.now - began - ms;
    const { closing, mayEnd } = observer.of(id);
    if (this.#failsNever && waited > noticedMs && !closing && !mayEnd) {
      observer.fail(`nothing went wrong, and call ${call} of ${id} waited ${Math.round(waited)} ms`);
    }
    this.#check(id, `call ${call}`, answer);
    if (answer.kind === "count") observer.acknowledge(id, answer.count, floor);
    if (answer.kind === "count" || answer.kind === "done") this.servedSince = Math.max(this.servedSince, began);
  }

  *#listen(id: string): Work<void> {
    const { random, observer } = this.#world;
    const facts = observer.of(id);
    while (this.#id === id) {
      yield* this.#rest();
      if (this.#id !== id) return;
      const { answer } = yield* this.#send({ session: id, ask: { kind: "listen", after: facts.notified } });
      this.#check(id, "a stream", answer);
      if (answer.kind === "events") for (const { sequence, json } of answer.events) observer.notify(id, sequence, json);
      yield* this.#pause(random.between(100, answer.kind === "events" ? 700 : 2_000));
    }
  }

  #check(id: string, what: string, { kind }: Ended["answer"]): void {
    if (!this.#failsNever || kind === "count" || kind === "done" || kind === "events") return;
    const { observer } = this.#world;
    const { closing, mayEnd } = observer.of(id);
    if (!closing && !mayEnd) observer.fail(`nothing went wrong, and ${what} of ${id} failed: ${kind}`);
  }

  #pause(ms: number): Work<void> {
    return until<void>((done) => this.#world.scheduler.after(ms, () => done()));
  }

  /** Through the edge: to the session's home by its tag, or to any node; to another one where nobody listens. */
  *#send(request: Request): Work<Ended> {
    const { random, nodes } = this.#world;
    const home = homeOf(request.session);
    const tags = random.shuffled([...nodes.keys()]);
    const order = random.chance(0.6) ? [home, ...tags.filter((tag) => tag !== home)] : tags;
    for (const tag of order) {
      const ended = yield* this.#exchange(tag, request);
      if (ended.answer.kind !== "refused-connection") return ended;
    }
    return { answer: { kind: "broken" }, head: false };
  }

  *#exchange(tag: string, request: Request): Work<Ended> {
    const { network, nodes, random, scheduler, observer } = this.#world;
    let head = false;
    const answer = yield* until<Ended["answer"]>((done) => {
      scheduler.after(patienceMs, () => done({ kind: "gave-up" }));
      // The edge does not wait for a node that it can't connect to.
      if (network.isCut(edge, tag)) {
        network.met.cut += 1;
        scheduler.after(200, () => done({ kind: "refused-connection" }));
        return;
      }
      const lost = () => scheduler.after(random.between(1, 2_000), () => done({ kind: "broken" }));
      const arrive = () => {
        const node = nodes.get(tag);
        const reply = (said: Ended["answer"]) => network.carry(tag, edge, () => done(said), { lost });
        if (node === undefined || node.process.isGone || !node.isMember || node.isStopping)
          return reply({ kind: "refused-connection" });
        observer.note(() => `${node.incarnation} gets ${JSON.stringify(request)}`);
        const forget = node.process.onGone(() => scheduler.after(1, () => done({ kind: "broken" })));
        const passHead = () =>
          network.carry(tag, edge, () => {
            head = true;
          });
        node.process.handle(() =>
          node.process.do(node.finding.handle(request, passHead), (said) => {
            forget();
            observer.note(() => `${node.incarnation} answers ${JSON.stringify(request)} with ${JSON.stringify(said)}`);
            reply(said);
          }),
        );
      };
      network.carry(edge, tag, arrive, { lost });
    });
    return { answer, head };
  }
}
