import { type Knowledge, locate, type PeerAnswer, type RegistryAnswer } from "../../src/model/locate.ts";
import { Copy } from "./copy.ts";
import { atOnce, until, type Work } from "./process.ts";
import type { Answer, Ask, Request } from "./requests.ts";
import type { SimNode } from "./sim-node.ts";
import { unavailable } from "./sim-registry.ts";
import type { Store } from "./store.ts";
import { times, type World } from "./world.ts";

/** Within this a request that a node took has ended: it waited, was relayed, ran, and its state was written. */
const boundMs = 2 * times.hold + times.relay;

type Served = Exclude<Ask, { readonly kind: "close" }>;

/** A node's search for the session of a request: serve, relay, adopt, or refuse. */
export class Finding {
  readonly #world: World;
  readonly #node: SimNode;
  readonly #notes = new Map<string, string>();
  readonly #adopting = new Map<string, (() => void)[]>();
  readonly #ended = new Set<string>();
  /** When each open request began, by the time that its process ran. */
  readonly #open = new Map<Request, number>();

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

  *handle(request: Request, head: () => void): Work<Answer> {
    this.#open.set(request, this.#node.process.ranMs);
    const answer = yield* this.#answer(request, head);
    this.#open.delete(request);
    return answer;
  }

  *open(id: string): Work<boolean> {
    const node = this.#node;
    if (!node.mayOwn()) return false;
    const { term } = node;
    const { observer, scheduler } = this.#world;
    const copy = new Copy(id, { owner: { tag: node.tag, incarnation: node.incarnation }, epoch: 1 }, scheduler.now);
    copy.keptAt = scheduler.now;
    const generation = node.generation;
    const record = copy.record(node.tag);
    const claimed = yield* node.link.ask((store, now) => store.claim(record, now));
    if (!node.mayOwn() || node.term !== term) return false;
    if (claimed === unavailable) {
      if (!node.allPromised()) return false;
      copy.keptAt = Number.NEGATIVE_INFINITY;
      copy.version = copy.answeredUnwritten = 1;
    } else copy.noted = generation;
    observer.begun(id);
    node.owning.add(copy);
    node.owning.serves(copy);
    return true;
  }

  /** Another node closed it. */
  closedElsewhere(id: string): void {
    const copy = this.#node.owning.copies.get(id);
    if (copy !== undefined) this.#end(copy);
  }

  /** Closes that the registry could not be told of in time. */
  *closeLate(): Work<void> {
    for (const id of [...this.#node.closesToDo]) {
      if ((yield* this.#closeInRegistry(id)) === unavailable) return;
      this.#node.closesToDo.delete(id);
    }
  }

  *#answer({ session, ask }: Request, head: () => void): Work<Answer> {
    if (ask.kind === "close") return yield* this.#close(session);
    const node = this.#node;
    const began = node.clock.read().monotonic;
    for (;;) {
      const answer = yield* this.#look(session, ask, head);
      if (answer !== "undecided") return answer;
      if (node.clock.read().monotonic - began >= times.hold) return this.#refuse(session, "misrouted");
      yield* node.sleep(300);
    }
  }

  /** One look around: everybody is asked once at most, and the owner again once the registry has named it. */
  *#look(id: string, ask: Served, head: () => void): Work<Answer | "undecided"> {
    const node = this.#node;
    const { rules } = this.#world;
    const answers = new Map<string, PeerAnswer>();
    const homeTag = id.slice(0, id.indexOf("."));
    const note = this.#notes.get(id);
    let registry: RegistryAnswer | undefined;
    for (;;) {
      // Asked about what it is just taking, it must not say that it does not have it.
      yield* this.#adopted(id);
      const copy = this.#mine(id);
      const found = typeof registry === "object" ? registry : undefined;
      const answer = found && answers.get(found.owner.tag);
      const proven = answer === "not-here" || (answer === "refused" && found?.ownerIsDirect === true);
      const known: Knowledge = {
        local: copy !== undefined,
        ended: this.#ended.has(id) ? "closed" : undefined,
        note: note !== undefined && node.memberAt(note) !== undefined ? note : undefined,
        home: node.memberAt(homeTag) !== undefined ? homeTag : undefined,
        answers,
        registry,
        policy: "resume",
        quiet: node.isQuiet(found?.owner.incarnation, proven || found?.ownerIs === "self"),
      };
      const location = locate(known);
      switch (location.kind) {
        case "here":
          if (copy === undefined || !node.owning.serves(copy)) return "undecided";
          return yield* node.owning.serve(copy, ask, head);
        case "relay": {
          const relayed = yield* this.#relay(location.to, id, ask, head);
          if (typeof relayed === "object") {
            this.#notes.set(id, location.to);
            return relayed;
          }
          answers.set(location.to, relayed);
          break;
        }
        case "ask-registry":
          registry = yield* this.#askRegistry(id);
          if (typeof registry === "object" && rules.asksAgain) answers.delete(registry.owner.tag);
          if (typeof registry === "object" && !rules.asksOwner) answers.set(registry.owner.tag, "refused");
          break;
        case "adopt":
          yield* this.#adopt(id, location.epoch);
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
    if (reason !== "misrouted" && lost && (!held || network.troubledUntil > registry.emptiedAt)) {
      observer.excuse(session, "the registry was emptied, and its owner ended or could not write it again");
    }
    observer.note(() => `${this.#node.incarnation} refuses ${session} as ${reason}`);
    observer.refuse(session, reason, this.#node.incarnation);
    return { kind: "refused", reason };
  }

  *#askRegistry(id: string): Work<RegistryAnswer> {
    const node = this.#node;
    const record = yield* this.#read((store, now) => store.find(id, now));
    if (record === unavailable) return "unreachable";
    if (record === undefined) return "none";
    const { owner, epoch } = record;
    if (owner.incarnation === node.incarnation) {
      return { owner, epoch, ownerIs: "self", ownerIsDirect: false, canRelay: false };
    }
    const noted = yield* this.#read((store, now) => store.node(owner.tag, now));
    if (noted === unavailable) return "unreachable";
    const isUp = noted?.incarnation === owner.incarnation;
    return { owner, epoch, ownerIs: isUp ? "up" : "over", ownerIsDirect: true, canRelay: true };
  }

  /** Asks the registry something, and in the same moment whether what it does not have was lost. */
  *#read<T>(command: (store: Store, now: number) => T): Work<T | typeof unavailable> {
    const node = this.#node;
    if (!this.#world.rules.readsGenerationAgain) return yield* node.link.ask(command);
    const { generation } = node;
    const read = yield* node.link.ask((store, now) => ({
      generation: store.generation(generation, now),
      result: command(store, now),
    }));
    if (read === unavailable) return unavailable;
    node.knowGeneration(read.generation);
    return read.result;
  }

  *#relay(to: string, id: string, ask: Served, head: () => void): Work<Answer | PeerAnswer> {
    const node = this.#node;
    const { network } = this.#world;
    const alive = yield* node.askPeer(to, () => atOnce(() => "alive" as const), times.probe);
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
    const answer = yield* node.askPeer(to, (peer) => peer.finding.relayed(id, ask, passHead), times.relay);
    if (answer === "refused" || answer === "not-here") return answer;
    // It may have been read: it is never sent a second time.
    if (answer === "silent" || answer === "cut-off") return headHere ? { kind: "broken" } : { kind: "may-have-run" };
    return answer;
  }

  /** What another node passed on is not passed any further. */
  *relayed(session: string, ask: Served, head: () => void): Work<Answer | "not-here"> {
    yield* this.#adopted(session);
    const copy = this.#mine(session);
    if (copy === undefined || !this.#node.owning.serves(copy)) return "not-here";
    return yield* this.#node.owning.serve(copy, ask, head);
  }

  /** Waits for the end of an adoption that is under way. */
  *#adopted(id: string): Work<void> {
    const waiting = this.#adopting.get(id);
    if (waiting !== undefined) yield* until<void>((done) => waiting.push(done));
  }

  *#adopt(id: string, epoch: number): Work<void> {
    const node = this.#node;
    if (this.#adopting.has(id) || node.owning.copies.has(id) || !node.mayOwn()) return;
    const { observer } = this.#world;
    const { term, tag, incarnation } = node;
    const waiting: (() => void)[] = [];
    const to = { owner: { tag, incarnation }, peer: tag };
    this.#adopting.set(id, waiting);
    const handed = yield* node.link.ask((store, now) => store.handOver(id, epoch, to, now));
    if (handed !== unavailable && handed.kind === "handed-over") {
      // What was asked for before this node lost its right may be another's by now.
      const sameRight = node.mayOwn() && node.term === term;
      if (sameRight && !node.owning.copies.has(id)) {
        observer.note(() => `${incarnation} adopts ${id} as of epoch ${epoch + 1}`);
        node.owning.take(handed.session);
      }
    }
    this.#adopting.delete(id);
    for (const goOn of waiting) goOn();
  }

  *#close(id: string): Work<Answer> {
    const node = this.#node;
    const { observer } = this.#world;
    const copy = this.#mine(id);
    if (copy !== undefined) this.#end(copy);
    const closed = yield* this.#closeInRegistry(id);
    if (closed !== unavailable) return closed || copy !== undefined ? { kind: "closed" } : this.#refuse(id, "unknown");
    if (copy === undefined) return this.#refuse(id, "misrouted");
    node.closesToDo.add(id);
    observer.note(() => `${node.incarnation} closes ${id} later`);
    return { kind: "closed" };
  }

  #end(copy: Copy): void {
    this.#ended.add(copy.id);
    this.#node.owning.drop(copy, "closed");
  }

  *#closeInRegistry(id: string): Work<boolean | typeof unavailable> {
    const { observer, network, nodes } = this.#world;
    return yield* this.#node.link.ask((store, now) => {
      const existed = store.close(id, true, now);
      observer.closed(id);
      for (const tag of nodes.keys()) {
        network.carry("registry", tag, () => {
          const node = nodes.get(tag);
          node?.process.handle(() => node.finding.closedElsewhere(id));
        });
      }
      return existed;
    });
  }
}
