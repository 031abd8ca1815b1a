import { randomBytes } from "node:crypto";
import type { Generation } from "../../ports/registry.ts";
import { lossMattersMs } from "../session-ttl.ts";
import type { Call } from "./link.ts";
import { runScript, scripts } from "./scripts.ts";

/** What is between the ids of the parts. */
const separator = " ";

/**
 * The generation of what is in Redis. In a cluster each shard can lose its entries alone, so that there it has parts,
 * spread over all slots; it is another one when any of them is.
 */
export class RedisGenerations {
  readonly #keys: readonly string[];
  readonly #call: Call;

  constructor(keys: readonly string[], call: Call) {
    this.#keys = keys;
    this.#call = call;
  }

  async generation(known: string | undefined): Promise<Generation> {
    const knownParts = known?.split(separator);
    const parts = await Promise.all(
      this.#keys.map((key, index) => this.#part(key, knownParts && (knownParts[index] ?? "none"))),
    );
    const losses = parts.map(([, lostAgoMs]) => lostAgoMs).filter((ms) => ms >= 0 && ms < lossMattersMs);
    const id = parts.map(([part]) => part).join(separator);
    return { id, ...(losses.length === 0 ? {} : { lostAgoMs: Math.min(...losses) }) };
  }

  async #part(key: string, known: string | undefined): Promise<readonly [id: string, lostAgoMs: number]> {
    const args = [randomBytes(12).toString("base64url"), known ?? ""];
    const reply = await this.#call({ doing: "tell its generation", key, replicated: true }, (send) =>
      runScript(send, scripts.generation, [key], args),
    );
    const [id, lostAgoMs] = reply as [unknown, unknown];
    return [String(id), Number(lostAgoMs)];
  }
}
