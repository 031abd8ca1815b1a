import { setTimeout as sleep } from "node:timers/promises";
import { locate, type Owner, type PeerAnswer, type RegistryAnswer } from "../model/locate.ts";
import type { RefusalReason } from "../model/refusal.ts";
import { parseSessionId } from "../model/session-id.ts";
import type { Principal, Registry, SessionRecord } from "../ports/registry.ts";
import type { Session } from "../session/session.ts";
import { endsWithin } from "../session/wait-bounded.ts";
import { isLocalUrl } from "./access.ts";
import { adoptionWaitMs } from "./adoptions.ts";
import type { Exchange } from "./exchange.ts";
import type { Generations } from "./generations.ts";
import type { Members } from "./members.ts";
import type { NodeMetrics } from "./metrics.ts";
import type { Offered, Offers } from "./offers.ts";
import type { OwnerNotes } from "./owner-notes.ts";
import type { Ownership } from "./ownership.ts";
import { isSame } from "./principals.ts";
import type { PromisesMade } from "./promises.ts";
import type { ReachableNodes, Relays } from "./relays.ts";
import type { SessionKeeper } from "./session-keeper.ts";

export interface FinderParts {
  readonly keeper: SessionKeeper;
  readonly registry: Registry;
  readonly nodes: ReachableNodes & Pick<Members, "knownAs" | "hasLeft">;
  /** Absent where misrouted requests are refused instead of passed on. */
  readonly relays: Relays | undefined;
  /** Where sessions were found last, and where they went from here. */
  readonly notes: OwnerNotes;
  /** Absent where nodes don't speak to each other. */
  readonly offers: Offers | undefined;
  readonly generations: Generations;
  readonly promises: PromisesMade;
  readonly ownership: Pick<Ownership, "isNewcomer">;
  readonly policy: "resume" | "reject";
  /** For how long a request waits while it can't be decided: milliseconds. */
  readonly holdMs: number;
  /** This node's own start. */
  readonly incarnation: string;
  readonly metrics: NodeMetrics;
  now(): number;
}

/** What is looked for: the session, the request's body, and who asks, where that matters. */
export interface Wanted {
  readonly id: string;
  readonly body: string | undefined;
  readonly caller: Principal | undefined;
}

/** What became of the search for a session. */
export type Found =
  /** It is held here, perhaps since a moment ago. */
  | { readonly kind: "here"; readonly session: Session }
  /** Its owner has answered the request, or is answering it. */
  | { readonly kind: "relayed"; readonly to: string }
  | { readonly kind: "refused"; readonly reason: RefusalReason; readonly owner?: Owner | undefined };

/** Where a session is: held here; parked here; known to the registry only; nowhere; or the registry does not answer. */
export type Whereabouts =
  | { readonly kind: "here" }
  | { readonly kind: "parked" }
  | { readonly kind: "elsewhere"; readonly owner: Owner; readonly ownerIsUp: boolean }
  | { readonly kind: "nowhere" }
  | { readonly kind: "not-known" };

/** What the registry said, and the whole record where there is one. */
interface Asked {
  readonly answer: RegistryAnswer;
  readonly record?: SessionRecord;
}

/** Requests that wait at one time. More are refused at once: each holds its body. */
const mostWaiting = 10_000;

const lookAgainMs = 100;

const notHere = { kind: "not-here" } as const;

/** Finds the session of a request that this node doesn't hold: relays it, adopts the session, or says why neither. */
export class Finder {
  readonly #parts: FinderParts;
  #waiting = 0;

  constructor(parts: FinderParts) {
    this.#parts = parts;
  }

  /** Looks until it is decided, for the hold time at the longest. */
  async find(exchange: Exchange, wanted: Wanted): Promise<Found> {
    const began = performance.now();
    const leftMs = () => began + this.#parts.holdMs - performance.now();
    for (;;) {
      const found = await this.#look(exchange, wanted, leftMs);
      if (found.kind !== "undecided") return found;
      const left = leftMs();
      // A close need not wait: it reaches the owner by the registry's word.
      if (left <= 0 || exchange.method === "DELETE" || !(await this.#wait(exchange, left))) {
        return { kind: "refused", reason: "misrouted", owner: found.owner };
      }
    }
  }

  /**
   * For a request that another node passed on: finds the session if it is here, or parked here. The request goes no
   * further, and nobody else's session is adopted for it.
   */
  async findHere(exchange: Exchange, { id, caller }: Wanted): Promise<Found | { readonly kind: "not-here" }> {
    const { keeper, generations, policy, holdMs } = this.#parts;
    // It is held here still: "not here" would prove to the node that asks that it may adopt it.
    if (!(await keeper.settled(id, holdMs))) return { kind: "refused", reason: "misrouted" };
    const session = keeper.get(id);
    if (session !== undefined) return { kind: "here", session };
    if (!keeper.parked.has(id)) return notHere;
    const { answer, record } = await this.#ask(id);
    const isOwn = typeof answer === "object" && answer.ownerIs === "self";
    const location = isOwn ? locate({ local: false, registry: answer, policy, quiet: generations.quiet }) : undefined;
    if (location?.kind !== "adopt") return notHere;
    if (!isSame(record?.principal, caller)) return { kind: "refused", reason: "unknown" };
    // To be closed, it need not live again first.
    if (exchange.method === "DELETE") return { kind: "refused", reason: "owner-gone", owner: location.owner };
    const adoption = keeper.adopt(id, location.epoch);
    if (!(await endsWithin(adoption, adoptionWaitMs(holdMs))))
      return { kind: "refused", reason: "misrouted", owner: location.owner };
    const adopted = await adoption;
    if (adopted.kind === "adopted") return { kind: "here", session: adopted.session };
    return adopted.kind === "failed" ? { kind: "refused", reason: "server-gone", owner: location.owner } : notHere;
  }

  /** Where a session is, without any change to that. */
  async whereIs(id: string): Promise<Whereabouts> {
    if (this.#parts.keeper.get(id) !== undefined) return { kind: "here" };
    const { answer } = await this.#ask(id);
    if (typeof answer === "string") return { kind: answer === "none" ? "nowhere" : "not-known" };
    const canComeBack = this.#parts.policy === "resume" && answer.pinned === undefined;
    if (answer.ownerIs === "self" && canComeBack) return { kind: "parked" };
    return { kind: "elsewhere", owner: answer.owner, ownerIsUp: answer.ownerIs === "up" };
  }

  /** Until the next look. Gives false when nobody waits any more, or too many do. */
  async #wait({ sink }: Exchange, leftMs: number): Promise<boolean> {
    if (this.#waiting >= mostWaiting || sink.destroyed) return false;
    this.#waiting += 1;
    // By chance a little more or less, so that what waits for one node doesn't come back in one moment.
    await sleep(Math.min(leftMs, lookAgainMs * (0.75 + Math.random() / 2)));
    this.#waiting -= 1;
    return !sink.destroyed;
  }

  /** One look around: everybody is asked once at most, the one that the registry names perhaps again. */
  async #look(
    exchange: Exchange,
    { id, body, caller }: Wanted,
    leftMs: () => number,
  ): Promise<Found | { readonly kind: "undecided"; readonly owner: Owner | undefined }> {
    const { keeper, relays, notes, generations, promises, ownership, policy, now } = this.#parts;
    const answers = new Map<string, PeerAnswer>();
    const reachable = (tag: string | undefined) => (relays?.canReach(tag) === true ? tag : undefined);
    const isParked = keeper.parked.has(id);
    const home = isParked ? undefined : reachable(parseSessionId(id)?.tag);
    let note = isParked ? undefined : reachable(notes.get(id));
    let asked: Asked | undefined;
    for (;;) {
      // A session may have been opened, adopted, parked, handed over or closed here while others were asked.
      if (!(await keeper.settled(id, leftMs()))) return { kind: "undecided", owner: undefined };
      const session = keeper.get(id);
      const owner = typeof asked?.answer === "object" ? asked.answer.owner : undefined;
      const location = locate({
        local: session !== undefined,
        ended: keeper.ending(id, now()),
        note,
        home,
        answers,
        registry: asked?.answer,
        policy,
        quiet: owner === undefined ? generations.incomplete : generations.quiet || promises.holds(owner.incarnation),
        isNewcomer: ownership.isNewcomer,
      });
      switch (location.kind) {
        case "here":
          return { kind: "here", session: session as Session };
        case "relay": {
          const outcome = await relays?.send(exchange, this.#peerOf(location.to, asked), body);
          if (outcome === "answered") {
            if (location.to !== home) notes.set(id, location.to);
            return { kind: "relayed", to: location.to };
          }
          notes.delete(id);
          answers.set(location.to, typeof outcome === "object" ? "not-here" : (outcome ?? "silent"));
          if (typeof outcome === "object") note = reachable(outcome.movedTo);
          break;
        }
        case "ask-registry":
          asked = await this.#ask(id);
          if (asked.record !== undefined && policy === "resume") forgetProof(answers, asked.record.owner.tag);
          // Nobody learns of a session, or has it moved, that isn't theirs.
          if (asked.record !== undefined && !isSame(asked.record.principal, caller)) {
            return { kind: "refused", reason: "unknown" };
          }
          break;
        case "adopt": {
          // To be closed, it need not live again first.
          if (exchange.method === "DELETE") return { kind: "refused", reason: "owner-gone", owner };
          const adoption = keeper.adopt(id, location.epoch);
          if (!(await endsWithin(adoption, adoptionWaitMs(leftMs())))) return { kind: "undecided", owner };
          const adopted = await adoption;
          if (adopted.kind === "adopted") {
            notes.delete(id);
            return { kind: "here", session: adopted.session };
          }
          if (adopted.kind === "failed") return { kind: "refused", reason: "server-gone", owner };
          // It can't read it, or it stops: another node takes it, and the request with it.
          if (adopted.kind === "unreadable" || adopted.kind === "not-now") {
            const epoch = "epoch" in adopted ? adopted.epoch : location.epoch;
            const offered = { id, epoch, of: location.owner.incarnation, format: asked?.record?.format };
            const to = await this.#giveAway(exchange, offered, body);
            if (to !== undefined) return { kind: "relayed", to };
          }
          return { kind: "undecided", owner };
        }
        case "wait":
          return { kind: "undecided", owner: location.owner };
        case "refuse":
          return { kind: "refused", reason: location.reason, owner: location.owner };
      }
    }
  }

  /** A session that this node can't take up goes to one that can, and the request with it. Gives which one that is. */
  async #giveAway(exchange: Exchange, session: Offered, body: string | undefined): Promise<string | undefined> {
    const { offers, relays } = this.#parts;
    const taker = await offers?.offer(session);
    if (taker === undefined) return undefined;
    this.#parts.notes.set(session.id, taker.tag);
    return (await relays?.send(exchange, taker, body)) === "answered" ? taker.tag : undefined;
  }

  /** A node to pass a request to: as it is a member, or as the registry last knew it. */
  #peerOf(tag: string, asked: Asked | undefined) {
    const { owner, peer } = asked?.record ?? {};
    const member = this.#parts.nodes.byTag(tag);
    if (member !== undefined && (owner === undefined || owner.incarnation === member.incarnation)) return member;
    return { name: tag, tag, incarnation: owner?.incarnation ?? "", peer };
  }

  /** What the registry says of a session. */
  async #ask(id: string): Promise<Asked> {
    const { keeper, registry, nodes, generations, relays, incarnation, metrics } = this.#parts;
    // Whatever a client makes up: the registry need not be asked about what no node can have minted.
    if (parseSessionId(id) === undefined) return { answer: "none" };
    try {
      const record = await registry.find(id);
      if (record?.owner.incarnation !== incarnation) keeper.parked.delete(id);
      if (record === undefined) {
        await generations.check();
        return { answer: "none" };
      }
      const { owner, epoch, pinned, peer } = record;
      const self = owner.incarnation === incarnation;
      const node = self ? undefined : await registry.node(owner.tag);
      const up = node?.incarnation === owner.incarnation;
      // Lost together with all other entries, since this one was read, its node may well live.
      if (!self && !up) await generations.check();
      // Another start of its node joined: it did so only after the owner's lease was over, and the address is its own now.
      const followed = node !== undefined && !up;
      return {
        record,
        answer: {
          ...{ owner, epoch, pinned },
          ownerIs: self ? "self" : followed || nodes.hasLeft(owner.incarnation) ? "gone" : up ? "up" : "over",
          ownerIsDirect: (up ? node : nodes.knownAs(owner))?.direct ?? isLocalUrl(peer ?? ""),
          canRelay: relays !== undefined && !self && !followed && (up ? node.peer : peer) !== undefined,
        },
      };
    } catch {
      metrics.registryFailed();
      return { answer: "unreachable" };
    }
  }
}

/**
 * What a node said before the registry named it as the owner does not prove that the session is free: it may have taken
 * it over since. That it was silent proved nothing then either.
 */
function forgetProof(answers: Map<string, PeerAnswer>, tag: string): void {
  if (answers.get(tag) !== "silent") answers.delete(tag);
}
