import { firstFormat } from "../../model/formats.ts";
import type {
  Claimed,
  Fence,
  HandedOver,
  NewOwner,
  SessionChanges,
  SessionRecord,
  Written,
} from "../../ports/registry.ts";
import { rememberedCloseMs } from "../session-ttl.ts";
import { readHash } from "./hash.ts";
import type { RedisKeys } from "./keys.ts";
import type { Call, CallOptions } from "./link.ts";
import { runScript, type Script, scripts } from "./scripts.ts";
import { readFence, readSession, readStored, sessionFields } from "./session-records.ts";
import { numberField, writeArguments } from "./session-writes.ts";

/** What write.lua gives, unless the write is fenced. */
const outcomes = ["missing", "written", "late"] as const;

/** The sessions in Redis: each verb is one command, whose keys share a slot. */
export class RedisSessions {
  readonly #keys: RedisKeys;
  readonly #call: Call;
  /** Milliseconds. */
  readonly #ttl: string;

  constructor(keys: RedisKeys, call: Call, ttlMs: number) {
    this.#keys = keys;
    this.#call = call;
    this.#ttl = String(ttlMs);
  }

  async claim(session: SessionRecord, number?: number): Promise<Claimed> {
    const { record, closed, state, events, ledger } = this.#keys.session(session.id);
    const { owner, epoch } = session;
    const fields = [...sessionFields(session), ...numberField(number)];
    const args = [this.#ttl, owner.tag, owner.incarnation, String(epoch), String(number ?? ""), ...fields];
    const reply = await this.#write("note a session", scripts.claim, [record, closed, state, events, ledger], args);
    const by = readFence(reply);
    if (by !== undefined) return { kind: "fenced", by };
    return { kind: Number(reply) === 1 ? "claimed" : "closed" };
  }

  async find(id: string): Promise<SessionRecord | undefined> {
    const key = this.#keys.session(id).record;
    const hash = readHash(await this.#call({ doing: "find a session", key }, (send) => send(key, ["HGETALL", key])));
    return hash === undefined ? undefined : readSession(id, hash);
  }

  async owners(ids: readonly string[]): Promise<readonly (Fence | undefined)[]> {
    return await Promise.all(
      ids.map(async (id) => {
        const key = this.#keys.session(id).record;
        const command = ["HMGET", key, "owner", "incarnation", "epoch"];
        return readFence(await this.#call({ doing: "tell who owns sessions", key }, (send) => send(key, command)));
      }),
    );
  }

  async write(id: string, fence: Fence, changes: SessionChanges, number?: number): Promise<Written> {
    const { record, state, events, ledger } = this.#keys.session(id);
    const args = writeArguments(fence, changes, { ttlMs: this.#ttl, now: Date.now(), number });
    const reply = await this.#write("write to a session", scripts.write, [record, state, events, ledger], args);
    const by = readFence(reply);
    if (by !== undefined) return { kind: "fenced", by };
    return { kind: outcomes[Number(reply)] ?? "missing" };
  }

  async handOver(id: string, epoch: number, { owner, peer, reads }: NewOwner): Promise<HandedOver> {
    const { record, state, events, ledger } = this.#keys.session(id);
    const { oldest = firstFormat, newest = firstFormat } = reads ?? {};
    const args = [String(epoch), this.#ttl, owner.tag, owner.incarnation, peer ?? "", String(oldest), String(newest)];
    const reply = await this.#write("hand a session over", scripts.handOver, [record, state, events, ledger], args);
    if (!Array.isArray(reply)) {
      const format = Number(reply);
      return format === 0 ? { kind: "missing" } : { kind: "unreadable", format };
    }
    if (Array.isArray(reply[0])) return { kind: "handed-over", session: readStored(id, reply) };
    return { kind: "fenced", by: readFence(reply) as Fence };
  }

  async renew(ids: readonly string[]): Promise<readonly string[]> {
    const renewed = await Promise.all(
      ids.map((id) => {
        const { record, state, ledger } = this.#keys.session(id);
        const call = { doing: "renew sessions", key: record };
        return this.#run(call, scripts.renew, [record, state, ledger], [this.#ttl]);
      }),
    );
    return ids.filter((_, index) => Number(renewed[index]) !== 1);
  }

  async close(id: string, { remember = false }: { readonly remember?: boolean }): Promise<boolean> {
    const { record, closed, state, events, ledger } = this.#keys.session(id);
    const args = [this.#keys.closed, id, String(rememberedCloseMs), remember ? "1" : "0"];
    const reply = await this.#write("close a session", scripts.close, [record, closed, state, events, ledger], args);
    return Number(reply) === 1;
  }

  /** Runs a script whose effect must outlive the server that runs it. */
  #write(doing: string, script: Script, keys: [string, ...string[]], args: string[]): Promise<unknown> {
    return this.#run({ doing, key: keys[0], replicated: true }, script, keys, args);
  }

  #run(call: CallOptions, script: Script, keys: [string, ...string[]], args: string[]): Promise<unknown> {
    return this.#call(call, (send) => runScript(send, script, keys, args));
  }
}
