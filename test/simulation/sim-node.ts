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
import { Adopting } from "./adopting.ts";
import { Closing } from "./closing.ts";
import { Drain } from "./drain.ts";
import { Finding } from "./finding.ts";
import { Generations } from "./generations.ts";
import { HomeComing } from "./home-coming.ts";
import { Moves } from "./moves.ts";
import type { NodeClock } from "./node-clock.ts";
import { Offers } from "./offers.ts";
import { Owning } from "./owning.ts";
import { Parking } from "./parking.ts";
import { PeerLink } from "./peer-link.ts";
import { atOnce, Process, until, type Work } from "./process.ts";
import { Serving } from "./serving.ts";
import { RegistryLink, unavailable } from "./sim-registry.ts";
import type { SimRecord } from "./store.ts";
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
  readonly peers: PeerLink;
  readonly generations: Generations;
  readonly owning: Owning;
  readonly finding: Finding;
  readonly adopting: Adopting;
  readonly moves: Moves;
  readonly offers: Offers;
  readonly serving: Serving;
  readonly closing: Closing;
  readonly parking: Parking;
  readonly drain: Drain;
  readonly homeComing: HomeComing;
  /** The version of the app that it runs. */
  readonly app: number;
  readonly #world: World;
  #state: "up" | "draining" | "stopping" = "up";
  #record: SimRecord;
  /** Whether the registry has not been told yet what the record says now. */
  #untold = false;
  /** Every node that it ever saw, also those whose lease ran out: they may live. */
  readonly #known = new Map<string, SimRecord>();
  #members: MemberTable<SimRecord> = noMembers();
  #right: Right | undefined;
  #hasRegistry = false;
  /** By incarnation: until when nothing of it is adopted. */
  readonly #promised = new Map<string, Until>();
  /** Whether it read a list of the nodes a lease after it joined: by then each that lives was in it. */
  #knowsAll = false;
  /** When the registry answered again, after it had not. */
  #backAt = Number.NEGATIVE_INFINITY;
  #joinedAt = Number.POSITIVE_INFINITY;
  /** Counts its rights: one after a gap is another one. */
  term = 0;
  #isLeaving = false;

  constructor(world: World, tag: string, { start, clock, app }: { start: number; clock: NodeClock; app: number }) {
    this.#world = world;
    this.app = app;
    this.tag = tag;
    this.incarnation = `${tag}-${start}`;
    this.clock = clock;
    this.process = new Process(world.scheduler);
    this.link = new RegistryLink(world, { tag, incarnation: this.incarnation, rate: clock.rate });
    this.peers = new PeerLink(world, this);
    this.generations = new Generations(this);
    this.owning = new Owning(world, this);
    this.finding = new Finding(world, this);
    this.adopting = new Adopting(world, this);
    this.moves = new Moves(world, this);
    this.offers = new Offers(world, this);
    this.serving = new Serving(world, this);
    this.closing = new Closing(world, this);
    this.parking = new Parking(world, this);
    this.drain = new Drain(world, this);
    this.homeComing = new HomeComing(world, this);
    this.#record = {
      name: tag,
      tag,
      incarnation: this.incarnation,
      url: tag,
      peer: tag,
      direct: true,
      state: "up",
      app,
      pid: start,
      since: clock.read().wall,
    };
    this.process.do(this.#live());
    this.process.do(this.parking.run());
  }

  /** up: it takes sessions; draining: it serves those that it has; stopping: it does not listen any more. */
  get state(): "up" | "draining" | "stopping" {
    return this.#state;
  }

  /** Whether it takes and begins nothing any more, and answers only what it has. */
  get isStopping(): boolean {
    return this.#state === "stopping";
  }

  /** It goes by it at once, and tells the registry as soon as it can. */
  setState(state: "up" | "draining" | "stopping"): void {
    this.#state = state;
    this.#record = { ...this.#record, state: state === "up" ? "up" : "draining" };
    this.#untold = true;
    this.process.do(this.#tell());
  }

  *#tell(): Work<void> {
    const record = this.#record;
    const told = yield* this.link.ask((store, now) => store.tell(record, times.lease, now));
    if (told === true && this.#record === record) this.#untold = false;
  }

  /** Takes itself out of the registry, as far as that answers. */
  *leave(): Work<void> {
    this.#isLeaving = true;
    const record = this.#record;
    yield* this.link.ask((store) => store.leave(record));
  }

  /** Whether the registry answered its last sign of life. */
  get hasRegistry(): boolean {
    return this.#hasRegistry;
  }

  /** The other nodes of its last table. */
  members(): SimRecord[] {
    return [...this.#members.nodes.values()].filter(({ tag }) => tag !== this.tag);
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

  /** Whether it joined less than a lease ago. */
  get isNewcomer(): boolean {
    return this.#world.rules.newcomersWait && this.clock.read().monotonic < this.#joinedAt + times.lease;
  }

  /** Whether nothing of that owner may be adopted now; or whether what the registry does not have may exist. */
  isQuiet(ownerIncarnation: string | undefined): boolean {
    const { rules } = this.#world;
    const now = this.clock.read();
    if (this.generations.isRestoring) return true;
    if (ownerIncarnation === undefined) {
      const isAway = !this.#hasRegistry || now.monotonic < this.#backAt + times.lease;
      return this.isNewcomer || (rules.waitsAfterOutage && isAway);
    }
    const promised = this.#promised.get(ownerIncarnation);
    if (promised === undefined) return false;
    return !isUnbound(promised, now);
  }

  memberAt(tag: string): SimRecord | undefined {
    return tag === this.tag ? undefined : this.#members.nodes.get(tag);
  }

  sleep(ms: number): Work<void> {
    return until<void>((done) => this.#world.scheduler.after(this.clock.truly(ms), () => done()));
  }

  /** A peer asks this node to adopt nothing of its own for a lease. */
  promise(incarnation: string): "promised" | "silent" {
    if (this.#hasRegistry || !this.isMember) return "silent";
    this.#promised.set(incarnation, boundUntil(this.clock.read(), times.lease));
    this.#world.observer.note(() => `${this.incarnation} promises to adopt nothing of ${incarnation}`);
    return "promised";
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
    for (let beats = 0; !this.#isLeaving; beats++) {
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
    if (this.#isLeaving) return;
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
    if (this.#untold) yield* this.#tell();
    const listed = yield* this.link.ask((store, now) => store.nodes(now));
    if (listed !== unavailable) this.#list(listed);
    if ((yield* this.generations.read()) === unavailable) return;
    if (rejoined) yield* this.#lookForOthers();
    yield* this.owning.catchUp();
    yield* this.closing.closeLate();
  }

  #list(listed: readonly SimRecord[]): void {
    const now = this.clock.read().monotonic;
    this.#members = nextMembers(this.#members, { listed, ownTag: this.tag, now, renewMs: times.renew });
    if (now >= this.#joinedAt + times.lease) this.#knowsAll = true;
    for (const node of listed) this.#known.set(node.tag, node);
    this.homeComing.look();
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

  *#askPromise({ tag, incarnation }: SimRecord): Work<Promised> {
    const { rules } = this.#world;
    const askedAt = this.clock.read();
    const held = heldUntil(askedAt, times.lease);
    const own = this.incarnation;
    const answer = yield* this.peers.ask(
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
