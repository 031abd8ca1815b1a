import { type Knowledge, locate, type PeerAnswer, type RegistryAnswer } from "../../src/model/locate.ts";
import type { Offer } from "./adopting.ts";
import type { Copy } from "./copy.ts";
import { atOnce, type Work } from "./process.ts";
import { type Answer, beginsCall, homeOf, type Request, type Served } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import type { Store } from "./store.ts";
import { times, type World } from "./world.ts";

/** Within this a request that a node took has ended: it waited, was relayed, ran, and its state was written. */
const boundMs = 2 * times.hold + times.relay;

/** It was handed over from there to another node. */
interface MovedTo {
  readonly kind: "moved";
  readonly to: string;
}

/** A node's search for the session of a request: serve, relay, adopt, or refuse. */
export class Finding {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #notes = new Map<string, string>();
  /** When each open request began, by the time that its process ran. */
  readonly #open = new Map<Request, number>();
  #relayed = 0;

  constructor(world: World, node: SimNode) {
    this.#world = world;
    this.#node = node;
  }

  /** Requests that have been open for longer than any may be. */
  overdue(): Request[] {
    return [...this.#open]
      .filter(([, began]) => this.#node.process.ranMs - began > boundMs)
      .map(([request]) => request);
  }

  /** How many requests, its own and relayed ones, this node has not answered. */
  get openRequests(): number {
    return this.#open.size + this.#relayed;
  }

  *handle(request: Request, head: () => void): Work<Answer> {
    this.#open.set(request, this.#node.process.ranMs);
    const answer = yield* this.#answer(request, head);
    this.#open.delete(request);
    return answer;
  }

  *#answer({ session, ask }: Request, head: () => void): Work<Answer> {
    const node = this.#node;
    if (ask.kind === "close") {
      const closed = yield* node.closing.close(session);
      return closed === "closed" ? { kind: "closed" } : this.#refuse(session, closed);
    }
    const holdsUntil = node.clock.read().monotonic + times.hold;
    for (;;) {
      const leftMs = holdsUntil - node.clock.read().monotonic;
      if (leftMs <= 0 || !(yield* node.moves.passed(session, ask, leftMs))) return this.#refuse(session, "misrouted");
      const answer = yield* this.#look(session, ask, head);
      if (answer !== "undecided") return answer;
      if (node.moves.gateOf(session).isOpen) yield* node.sleep(300);
    }
  }

  /** One look around: everybody is asked once at most, and the owner again once the registry has named it. */
  *#look(id: string, ask: Served, head: () => void): Work<Answer | "undecided"> {
    const node = this.#node;
    const { rules } = this.#world;
    const answers = new Map<string, PeerAnswer>();
    const isParked = node.parking.parked.has(id);
    const home = isParked ? undefined : node.memberAt(homeOf(id))?.tag;
    let note = isParked ? undefined : this.#notes.get(id);
    let registry: RegistryAnswer | undefined;
    for (;;) {
      // Asked about what it is just taking, it must not say that it does not have it.
      yield* node.adopting.done(id);
      if (node.moves.gateOf(id).holds(beginsCall(ask))) return "undecided";
      const copy = this.#mine(id);
      const found = typeof registry === "object" ? registry : undefined;
      const known: Knowledge = {
        local: copy !== undefined,
        ended: node.closing.hasEnded(id) ? "closed" : undefined,
        note: note !== undefined && node.memberAt(note) !== undefined ? note : undefined,
        home,
        answers,
        registry,
        policy: "resume",
        quiet: node.isQuiet(found?.owner.incarnation),
        isNewcomer: node.isNewcomer,
      };
      const location = locate(known);
      switch (location.kind) {
        case "here":
          if (copy === undefined || !node.owning.serves(copy)) return "undecided";
          return orUndecided(yield* node.serving.serve(copy, ask, head));
        case "relay": {
          const relayed = yield* this.#relay(location.to, id, ask, head);
          if (typeof relayed !== "object") answers.set(location.to, relayed);
          else if (relayed.kind === "moved") {
            answers.set(location.to, "not-here");
            note = relayed.to;
            this.#notes.set(id, note);
          } else {
            this.#notes.set(id, location.to);
            return relayed;
          }
          break;
        }
        case "ask-registry":
          registry = yield* this.#askRegistry(id);
          if (typeof registry === "object" && rules.asksAgain) answers.delete(registry.owner.tag);
          if (typeof registry === "object" && !rules.asksOwner) answers.set(registry.owner.tag, "refused");
          break;
        case "adopt":
          yield* this.#adopt({ id, epoch: location.epoch, orphanOf: location.owner.incarnation });
          return "undecided";
        case "wait":
          return "undecided";
        case "refuse":
          return this.#refuse(id, location.reason);
      }
    }
  }

  #mine(id: string): Copy | undefined {
    const copy = this.#node.owning.copies.get(id);
    return copy !== undefined && this.#node.mayOwn() ? copy : undefined;
  }

  #refuse(session: string, reason: string): Answer {
    const { observer, registry, nodes, network, scheduler } = this.#world;
    const held = [...nodes.values()].some(
      (node) => !node.process.isGone && node.owning.copies.has(session) && node.mayOwn(),
    );
    const lost =
      registry.store.find(session, scheduler.now) === undefined && registry.emptiedAt > Number.NEGATIVE_INFINITY;
    const isOver = observer.of(session).closing;
    if (!isOver && reason !== "misrouted" && lost && (!held || network.troubledUntil > registry.emptiedAt)) {
      observer.excuse(session, "the registry was emptied, and its owner ended or could not write it again");
    }
    observer.note(() => `${this.#node.incarnation} refuses ${session} as ${reason}`);
    if (reason === "owner-gone" && held) observer.fail(`${session} is refused as ${reason}, and its owner holds it`);
    observer.refuse(session, reason, this.#node.incarnation);
    return { kind: "refused", reason };
  }

  *#askRegistry(id: string): Work<RegistryAnswer> {
    const node = this.#node;
    const record = yield* this.#read((store, now) => store.find(id, now));
    if (record === unavailable) return "unreachable";
    if (record?.owner.incarnation !== node.incarnation) node.parking.parked.delete(id);
    if (record === undefined) return "none";
    const { owner, epoch, pinned } = record;
    if (owner.incarnation === node.incarnation) {
      return { owner, epoch, ownerIs: "self", ownerIsDirect: false, canRelay: false, pinned };
    }
    const asked = yield* this.#read((store, now) => ({
      noted: store.node(owner.tag, now)?.incarnation,
      hasLeft: store.left.has(owner.incarnation),
    }));
    if (asked === unavailable) return "unreachable";
    const isUp = asked.noted === owner.incarnation;
    // Another start of its node joined only after the owner's lease was over.
    const isGone = asked.hasLeft || (asked.noted !== undefined && !isUp);
    const ownerIs = isGone ? "gone" : isUp ? "up" : "over";
    return { owner, epoch, ownerIs, ownerIsDirect: true, canRelay: !isGone, pinned };
  }

  /** Asks the registry something, and in the same moment whether what it does not have was lost. */
  *#read<T>(command: (store: Store, now: number) => T): Work<T | typeof unavailable> {
    const node = this.#node;
    if (!this.#world.rules.readsGenerationAgain) return yield* node.link.ask(command);
    const { known } = node.generations;
    const read = yield* node.link.ask((store, now) => ({
      generation: store.generation(known, now),
      result: command(store, now),
    }));
    if (read === unavailable) return unavailable;
    node.generations.learn(read.generation);
    return read.result;
  }

  *#relay(to: string, id: string, ask: Served, head: () => void): Work<Answer | MovedTo | PeerAnswer> {
    const node = this.#node;
    const { network } = this.#world;
    const alive = yield* node.peers.ask(to, () => atOnce(() => "alive" as const), times.probe);
    if (alive === "refused") return "refused";
    if (alive !== "alive") return "silent";
    let headHere = false;
    const passHead = () =>
      network.carry(to, node.tag, () =>
        node.process.handle(() => {
          headHere = true;
          head();
        }),
      );
    const answer = yield* node.peers.ask(to, (peer) => peer.finding.relayed(id, ask, passHead), times.relay);
    if (answer === "refused" || answer === "not-here") return answer;
    // It may have been read: it is never sent a second time.
    if (answer === "silent" || answer === "cut-off") return headHere ? { kind: "broken" } : { kind: "may-have-run" };
    return answer;
  }

  /** What another node passed on is not passed any further. */
  *relayed(session: string, ask: Served, head: () => void): Work<Answer | MovedTo | "not-here"> {
    this.#relayed += 1;
    const answer = yield* this.#relayedHere(session, ask, head);
    this.#relayed -= 1;
    return answer;
  }

  *#relayedHere(session: string, ask: Served, head: () => void): Work<Answer | MovedTo | "not-here"> {
    const node = this.#node;
    const { moves, adopting, parking, clock } = node;
    const holdsUntil = clock.read().monotonic + times.hold;
    for (;;) {
      const leftMs = holdsUntil - clock.read().monotonic;
      if (leftMs <= 0 || !(yield* moves.passed(session, ask, leftMs))) return this.#refuse(session, "misrouted");
      yield* adopting.done(session);
      if (moves.gateOf(session).holds(beginsCall(ask))) continue;
      const copy = this.#mine(session);
      if (copy === undefined || !node.owning.serves(copy)) {
        if (parking.parked.has(session) && (yield* this.#unpark(session))) continue;
        const to = moves.movedTo(session);
        return to === undefined ? "not-here" : { kind: "moved", to };
      }
      const answer = yield* node.serving.serve(copy, ask, head);
      if (answer !== "moved") return answer;
    }
  }

  /** It left memory here: nobody else need adopt it. */
  *#unpark(id: string): Work<boolean> {
    const { adopting, incarnation } = this.#node;
    const registry = yield* this.#askRegistry(id);
    if (typeof registry !== "object" || registry.ownerIs !== "self") return false;
    const location = locate({ local: false, registry, policy: "resume", quiet: this.#node.isQuiet(incarnation) });
    return location.kind === "adopt" && (yield* adopting.adopt(id, location.epoch)).kind === "taken";
  }

  /** Takes an orphan, or lets another node take it, where this one can't read it, or stops. */
  *#adopt(orphan: Offer): Work<void> {
    const { adopting, offers } = this.#node;
    const took = yield* adopting.adopt(orphan.id, orphan.epoch);
    if (!this.#world.rules.passesOn || (took.kind !== "unreadable" && took.kind !== "not-now")) return;
    const to = yield* offers.offer(took.kind === "unreadable" ? { ...orphan, epoch: took.epoch } : orphan);
    if (to !== undefined) this.#notes.set(orphan.id, to);
  }
}

function orUndecided(answer: Answer | "moved"): Answer | "undecided" {
  return answer === "moved" ? "undecided" : answer;
}
