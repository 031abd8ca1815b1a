import {
  boundUntil,
  heldUntil,
  isUnbound,
  mayOwn,
  type Promised,
  promisedBy,
  type Reading,
  type Right,
  renewed,
  type Until,
} from "../../src/model/lease.ts";
import { type MemberTable, nextLeaseStep, nextMembers, noMembers } from "../../src/model/membership.ts";
import type { Generation, NodeRecord } from "../../src/ports/registry.ts";
import { Finding } from "./finding.ts";
import type { NodeClock } from "./node-clock.ts";
import { Owning } from "./owning.ts";
import { atOnce, Process, until, type Work } from "./process.ts";
import { RegistryLink, unavailable } from "./sim-registry.ts";
import { times, type World } from "./world.ts";

const never: Reading = { monotonic: Number.NEGATIVE_INFINITY, wall: Number.NEGATIVE_INFINITY };
const ever: Reading = { monotonic: Number.POSITIVE_INFINITY, wall: Number.POSITIVE_INFINITY };

/** One start of a node. */
export class SimNode {
  readonly tag: string;
  readonly incarnation: string;
  readonly clock: NodeClock;
  readonly process: Process;
  readonly link: RegistryLink;
  readonly owning: Owning;
  readonly finding: Finding;
  readonly #world: World;
  readonly #record: NodeRecord;
  /** Every node that it ever saw, also those whose lease ran out: they may live. */
  readonly #known = new Map<string, NodeRecord>();
  #members: MemberTable<NodeRecord> = noMembers();
  #right: Right | undefined;
  #hasRegistry = false;
  /** By incarnation: until when nothing of it is adopted. */
  readonly #promised = new Map<string, Until>();
  /** The registry's generation that it knows, and until when nobody adopts because entries were lost. */
  generation: string | undefined;
  #quietUntil = Number.NEGATIVE_INFINITY;
  /** Whether it read a list of the nodes a lease after it joined: by then each that lives was in it. */
  #knowsAll = false;
  /** When the registry answered again, after it had not. */
  #backAt = Number.NEGATIVE_INFINITY;
  #joinedAt = Number.POSITIVE_INFINITY;
  /** Counts its rights: one after a gap is another one. */
  term = 0;
  readonly closesToDo = new Set<string>();

  constructor(world: World, tag: string, start: number, clock: NodeClock) {
    this.#world = world;
    this.tag = tag;
    this.incarnation = `${tag}-${start}`;
    this.clock = clock;
    this.process = new Process(world.scheduler);
    this.link = new RegistryLink(world, { tag, incarnation: this.incarnation, rate: clock.rate });
    this.owning = new Owning(world, this);
    this.finding = new Finding(world, this);
    this.#record = {
      name: tag,
      tag,
      incarnation: this.incarnation,
      url: tag,
      peer: tag,
      direct: true,
      state: "up",
      pid: start,
      since: 0,
    };
    this.process.do(this.#live());
  }

  get isMember(): boolean {
    return this.#right !== undefined;
  }

  /** Whether it may act as owner now. If not, it gives up everything. */
  mayOwn(): boolean {
    if (this.#right === undefined) return false;
    if (this.#allows(this.#right)) return true;
    this.#right = { lease: never, promises: undefined };
    this.term += 1;
    this.owning.dropAll("its right is over");
    return false;
  }

  /** Whether everybody else lost the registry too, or is dead. */
  allPromised(): boolean {
    return this.#right?.promises !== undefined && mayOwn({ ...this.#right, lease: never }, this.#read());
  }

  #allows(right: Right): boolean {
    if (!this.#world.rules.needsPromises && !this.#hasRegistry) return true;
    return mayOwn(right, this.#read());
  }

  #read(): Reading {
    const { clocks } = this.#world.rules;
    const { monotonic, wall } = this.clock.read();
    return {
      monotonic: clocks === "wall" ? Number.NEGATIVE_INFINITY : monotonic,
      wall: clocks === "monotonic" ? Number.NEGATIVE_INFINITY : wall,
    };
  }

  /** Why nothing of that owner may be adopted now. `proven`: it does not hold the session, or is gone. */
  isQuiet(ownerIncarnation: string | undefined, proven: boolean): boolean {
    const { rules } = this.#world;
    const now = this.clock.read();
    if (now.monotonic < this.#quietUntil) return true;
    if (rules.newcomersWait && !proven && now.monotonic < this.#joinedAt + times.lease) return true;
    if (ownerIncarnation === undefined) {
      return rules.waitsAfterOutage && (!this.#hasRegistry || now.monotonic < this.#backAt + times.lease);
    }
    const promised = this.#promised.get(ownerIncarnation);
    if (promised === undefined) return false;
    return !isUnbound(promised, now);
  }

  memberAt(tag: string): NodeRecord | undefined {
    return tag === this.tag ? undefined : this.#members.nodes.get(tag);
  }

  sleep(ms: number): Work<void> {
    return until<void>((done) => this.#world.scheduler.after(this.clock.truly(ms), () => done()));
  }

  /** Asks the process at an address. */
  *askPeer<T>(
    tag: string,
    question: (peer: SimNode) => Work<T>,
    deadlineMs: number,
  ): Work<T | "refused" | "silent" | "cut-off"> {
    const { network, scheduler, nodes } = this.#world;
    return yield* until<T | "refused" | "silent" | "cut-off">((done) => {
      scheduler.after(this.clock.truly(deadlineMs), () => done("silent"));
      network.carry(this.tag, tag, () => {
        const peer = nodes.get(tag);
        const reply = (answer: T | "refused" | "cut-off") => network.carry(tag, this.tag, () => done(answer));
        if (peer === undefined || peer.process.isGone) return reply("refused");
        const forget = peer.process.onGone(() => reply("cut-off"));
        peer.process.handle(() =>
          peer.process.do(question(peer), (answer) => {
            forget();
            reply(answer);
          }),
        );
      });
    });
  }

  /** A peer asks this node to adopt nothing of its own for a lease. */
  promise(incarnation: string): "promised" | "silent" {
    if (this.#hasRegistry || !this.isMember) return "silent";
    this.#promised.set(incarnation, boundUntil(this.clock.read(), times.lease));
    this.#world.observer.note(() => `${this.incarnation} promises to adopt nothing of ${incarnation}`);
    return "promised";
  }

  *readGeneration(): Work<string | typeof unavailable> {
    const known = this.generation;
    const answer = yield* this.link.ask((store, now) => store.generation(known, now));
    if (answer === unavailable) return unavailable;
    this.knowGeneration(answer);
    return answer.id;
  }

  knowGeneration({ id, lostAgoMs }: Generation): void {
    if (lostAgoMs !== undefined && lostAgoMs < times.lease) {
      this.#quietUntil = Math.max(this.#quietUntil, this.clock.read().monotonic + times.lease - lostAgoMs);
    }
    this.generation = id;
  }

  /** Ends the process at once, and all that it has in memory. */
  kill(): number {
    if (this.process.isGone) return 0;
    const had = this.owning.copies.size;
    for (const copy of this.owning.copies.values()) this.owning.lost(copy);
    this.process.end();
    return had;
  }

  *#live(): Work<void> {
    while (!(yield* this.#join())) yield* this.sleep(times.renew / 2);
    for (let beats = 0; ; beats++) {
      yield* this.#giveSign();
      if (beats % 3 === 2) yield* this.#renewSessions();
      yield* this.sleep(times.renew * this.#world.random.between(0.8, 1));
    }
  }

  *#join(): Work<boolean> {
    const askedAt = this.clock.read();
    const joining = yield* this.link.ask((store, now) => store.join(this.#record, times.lease, now));
    if (joining === unavailable || joining.kind === "held") return false;
    this.#joinedAt = this.clock.read().monotonic;
    this.#world.observer.note(() => `${this.incarnation} has joined`);
    this.#take(askedAt);
    return true;
  }

  #take(askedAt: Reading): void {
    if (this.#world.rules.dropsAtGap) this.mayOwn();
    this.#right = renewed(askedAt, times.lease);
    if (!this.#hasRegistry) this.#backAt = this.clock.read().monotonic;
    this.#hasRegistry = true;
  }

  *#giveSign(): Work<void> {
    if (this.#world.rules.dropsAtGap) this.mayOwn();
    let askedAt = this.clock.read();
    let answer = yield* this.link.ask((store, now) => store.renewLease(this.#record, times.lease, now));
    let rejoined = false;
    if (answer !== unavailable && nextLeaseStep(answer).kind === "join-again") {
      askedAt = this.clock.read();
      rejoined = true;
      const joining = yield* this.link.ask((store, now) => store.join(this.#record, times.lease, now));
      answer = joining === unavailable || joining.kind === "joined" ? unavailable : { kind: "lost", to: joining.by };
      if (joining !== unavailable && joining.kind === "joined") answer = { kind: "renewed" };
    }
    if (answer === unavailable) return yield* this.#withoutRegistry();
    if (nextLeaseStep(answer).kind === "give-up") {
      this.#world.observer.note(() => `${this.incarnation} has lost its name`);
      this.kill();
      return;
    }
    this.#take(askedAt);
    const listed = yield* this.link.ask((store, now) => store.nodes(now));
    if (listed !== unavailable) this.#list(listed);
    if ((yield* this.readGeneration()) === unavailable) return;
    if (rejoined) yield* this.#lookForOthers();
    yield* this.owning.catchUp();
    yield* this.finding.closeLate();
  }

  #list(listed: readonly NodeRecord[]): void {
    const now = this.clock.read().monotonic;
    this.#members = nextMembers(this.#members, { listed, ownTag: this.tag, now, renewMs: times.renew });
    if (now >= this.#joinedAt + times.lease) this.#knowsAll = true;
    for (const node of listed) this.#known.set(node.tag, node);
  }

  /** The lease ran out while the right did not: somebody who knew nothing of that may have adopted. */
  *#lookForOthers(): Work<void> {
    const copies = [...this.owning.copies.values()];
    const owners = yield* this.link.ask((store, now) => copies.map(({ id }) => store.owner(id, now)));
    if (owners === unavailable) return;
    for (const [at, copy] of copies.entries()) {
      const by = owners[at];
      if (by !== undefined && by.epoch > copy.fence.epoch) this.owning.drop(copy, `fenced by epoch ${by.epoch}`);
    }
  }

  *#withoutRegistry(): Work<void> {
    this.#hasRegistry = false;
    const right = this.#right;
    if (right === undefined || !this.mayOwn()) return;
    if (this.#world.rules.newcomersWait && !this.#knowsAll) return;
    const { rules } = this.#world;
    const members = rules.asksLapsed ? this.#known : this.#members.nodes;
    const others = [...members.values()].filter(({ tag }) => tag !== this.tag);
    const said = new Map<string, Promised>(others.map(({ tag }) => [tag, { kind: "silent" }]));
    // Also where there is nobody to ask, what was true at this moment is not true for ever.
    const asOf = heldUntil(this.clock.read(), times.lease);
    if (rules.promisesExpire) said.set(this.tag, { kind: "promised", until: asOf });
    let left = others.length;
    yield* until<void>((done) => {
      if (left === 0) done();
      for (const other of others) {
        this.process.do(this.#askPromise(other), (promised) => {
          said.set(other.tag, promised);
          left -= 1;
          if (left === 0) done();
        });
      }
    });
    if (this.#right === right && this.mayOwn()) this.#right = promisedBy(right, said, this.clock.read());
    this.mayOwn();
  }

  *#askPromise({ tag, incarnation }: NodeRecord): Work<Promised> {
    const { rules } = this.#world;
    const askedAt = this.clock.read();
    const held = heldUntil(askedAt, times.lease);
    const own = this.incarnation;
    const answer = yield* this.askPeer(
      tag,
      (peer) => atOnce(() => (peer.incarnation === incarnation ? peer.promise(own) : "silent")),
      times.probe,
    );
    if (answer === "promised") return { kind: "promised", until: held };
    if (answer !== "refused") return { kind: "silent" };
    return { kind: "promised", until: rules.promisesExpire ? held : ever };
  }

  /** Sessions in use get their full TTL again. */
  *#renewSessions(): Work<void> {
    for (const copy of [...this.owning.copies.values()]) {
      const record = copy.record(this.tag);
      const { noted } = copy;
      const there = yield* this.link.ask((store, now) => store.renewed(record, now));
      if (there === unavailable) return;
      if (!there && copy.gone === undefined) yield* this.owning.note(copy, { missingFrom: noted });
    }
  }
}
