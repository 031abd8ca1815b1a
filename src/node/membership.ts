import { setTimeout as sleep } from "node:timers/promises";
import type { Reading } from "../model/lease.ts";
import { type FirstLook, type Look, nextJoinStep, nextLeaseStep } from "../model/membership.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";
import { Listeners } from "../registry/listeners.ts";
import { NameTakenError } from "./name-taken.ts";

export interface MembershipParts {
  readonly registry: Registry;
  readonly record: NodeRecord;
  readonly times: {
    /** For how long the node counts as up without a sign of life, in milliseconds. */
    readonly lease: number;
    /** How often it gives one. */
    readonly renew: number;
  };
  readonly log: Log;
  /** Whether another node answers as the incarnation that it is noted as. Never rejects. */
  readonly answers: (node: NodeRecord) => Promise<boolean>;
  /** The time by both clocks. */
  readonly read: () => Reading;
  /** The registry gave the lease (again), when it was asked at that time. */
  readonly onRenewed: (askedAt: Reading) => void;
  /** Its lease has run out: it joins again. */
  readonly onLapsed: () => void;
  /** It has joined again. Others may have taken it for dead meanwhile. Called after `onRenewed`. */
  readonly onRejoined: () => void;
  /** The registry did not answer a sign of life. */
  readonly onNotRenewed: () => void;
  /** Another incarnation has taken the name: this node must not go on. Called once at most. */
  readonly onLost: (to: NodeRecord) => void;
}

/** Keeps this node in the registry for as long as it lives. */
export class Membership {
  readonly #parts: MembershipParts;
  readonly #stopListening: () => void;
  #record: NodeRecord;
  /** Whether the registry has not been told yet what the record says now. */
  #untold = false;
  #phase: "joining" | "member" | "ended" = "joining";
  #timer: NodeJS.Timeout | undefined;
  /** The renewal that is under way, or waits for its turn. */
  #renewing: Promise<boolean> | undefined;
  /** Whoever asked for a renewal, and need not wait for it once the registry is known to be away. */
  readonly #unreachable = new Listeners<void>();
  /** Whether the registry has said that the lease ran out, and nobody was told since. */
  #hasLapsed = false;
  /** What is said to the registry goes one after another: a renewal that overtook the farewell would undo it. */
  #turn: Promise<unknown> = Promise.resolve();
  #failing = false;

  constructor(parts: MembershipParts) {
    this.#parts = parts;
    this.#record = parts.record;
    this.#stopListening = parts.registry.onReachable((reachable) => {
      // A renewal that is under way may be lost with the former connection.
      if (reachable && this.#phase === "member") void this.#inTurn(() => this.#renew());
      if (!reachable) this.#unreachable.tell();
    });
  }

  /** The node as the registry has it, or will have it with the next sign of life. */
  get record(): NodeRecord {
    return this.#record;
  }

  /**
   * Joins. Waits for up to one lease where a former life of this node holds its name still.
   *
   * @throws NameTakenError when another node lives under the name, or under a name with the same tag
   * @throws RegistryError when the registry does not answer
   */
  async join(): Promise<void> {
    let first: FirstLook<NodeRecord> | undefined;
    for (let look = await this.#tryToJoin(); look !== undefined; look = await this.#tryToJoin()) {
      const step = nextJoinStep({ own: this.#record, look, first, lookEveryMs: this.#parts.times.renew / 2 });
      switch (step.kind) {
        case "ask":
          first = { ...look, answers: await this.#parts.answers(look.by) };
          if (!first.answers) this.#logWait(look);
          break;
        case "wait":
          await sleep(step.ms);
          break;
        case "refuse":
          throw new NameTakenError(step.why, this.#record, look.by);
      }
    }
    this.#phase = "member";
    this.#schedule();
  }

  /**
   * Asks the registry for the lease now, unless that is under way. Gives whether it answered: this node has the registry.
   * One that has left has it no more. Never rejects.
   */
  async check(): Promise<boolean> {
    if (this.#phase !== "member") return this.#phase === "joining";
    this.#renewing ??= this.#inTurn(() => this.#renew()).finally(() => {
      this.#renewing = undefined;
    });
    let stopListening: () => void = () => {};
    const unreachable = new Promise<false>((resolve) => {
      stopListening = this.#unreachable.add(() => resolve(false));
    });
    return await Promise.race([this.#renewing, unreachable]).finally(stopListening);
  }

  /**
   * Changes whether the node takes new sessions. The node itself goes by it at once.
   *
   * @throws RegistryError when the registry could not be told; it is told again with each sign of life
   */
  async setState(state: NodeRecord["state"]): Promise<void> {
    if (this.#phase === "ended")
      throw new Error(`Node ${this.#record.name} has left the cluster: it has no state to set.`);
    if (this.#record.state === state && !this.#untold) return;
    this.#record = { ...this.#record, state };
    this.#untold = true;
    await this.#inTurn(() => this.#giveSign());
  }

  /** Leaves, so that other nodes know it at once. A registry that does not answer lets the lease run out. */
  async leave(): Promise<void> {
    this.#end();
    try {
      await this.#inTurn(() => this.#parts.registry.leave(this.#record));
    } catch (error) {
      this.#parts.log.warn("registry-write-dropped", { write: "leave", why: String(error) });
    }
  }

  #end(): void {
    this.#phase = "ended";
    this.#stopListening();
    clearTimeout(this.#timer);
  }

  /** Gives undefined when this node has joined, else who holds its tag. */
  async #tryToJoin(): Promise<Look<NodeRecord> | undefined> {
    const askedAt = this.#parts.read();
    const answer = await this.#parts.registry.join(this.#record, this.#parts.times.lease);
    if (answer.kind === "joined") {
      this.#parts.onRenewed(askedAt);
      return undefined;
    }
    const { by, leftMs } = answer;
    return { by, leftMs, askedAt: askedAt.monotonic, answeredAt: this.#parts.read().monotonic };
  }

  #logWait({ by, leftMs }: Look<NodeRecord>): void {
    const { name, url, pid, incarnation } = by;
    this.#parts.log.warn("node-waiting", { node: name, heldBy: { url, pid, incarnation }, leftMs });
  }

  #schedule(): void {
    if (this.#phase !== "member") return;
    this.#timer = setTimeout(() => {
      void this.check().finally(() => this.#schedule());
    }, this.#parts.times.renew);
  }

  /** Gives whether the registry answered. Never rejects. */
  async #renew(): Promise<boolean> {
    try {
      await this.#giveSign();
      this.#failing = false;
      return true;
    } catch (error) {
      // Once for each time that it fails in a row; the next renewal tries again.
      if (!this.#failing) this.#parts.log.warn("lease-not-renewed", { node: this.#record.name, why: String(error) });
      this.#failing = true;
      this.#parts.onNotRenewed();
      return false;
    }
  }

  /** Renews the lease; joins again where it ran out, or where the record has changed. */
  async #giveSign(): Promise<void> {
    if (this.#phase !== "member") return;
    const { registry, times } = this.#parts;
    let askedAt = this.#parts.read();
    const renewal = nextLeaseStep(await registry.renewLease(this.#record, times.lease));
    if (renewal.kind === "give-up") return this.#lose(renewal.to);
    if (renewal.kind === "join-again") {
      this.#hasLapsed = true;
      this.#parts.onLapsed();
    } else if (!this.#untold) return this.#renewed(askedAt);
    const record = this.#record;
    askedAt = this.#parts.read();
    const joining = nextLeaseStep(await registry.join(record, times.lease));
    if (joining.kind === "give-up") return this.#lose(joining.to);
    // The record may have changed again meanwhile.
    if (this.#record === record) this.#untold = false;
    this.#renewed(askedAt);
  }

  #renewed(askedAt: Reading): void {
    this.#parts.onRenewed(askedAt);
    // Also where the answer to the join itself was lost.
    if (!this.#hasLapsed) return;
    this.#hasLapsed = false;
    this.#parts.onRejoined();
  }

  #lose(to: NodeRecord): void {
    // The node may have begun to leave while the registry was asked.
    if (this.#phase !== "member") return;
    this.#end();
    this.#parts.onLost(to);
  }

  async #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => {});
    return await turn;
  }
}
