import { type Client, type ClientSettings, oneConnection } from "./client-settings.ts";
import { withDeadline } from "./deadline.ts";
import { describe, isReply, SentinelsFailedError, UnknownPrimaryNameError } from "./failure.ts";
import { discard } from "./kept-connection.ts";
import { type Address, type RedisTarget, showAddress } from "./redis-url.ts";
import type { Whereabouts } from "./server-link.ts";

type SentinelTarget = Extract<RedisTarget, { kind: "sentinel" }>;

/**
 * Finds the primary by asking the Sentinels in turn, as Redis's guide for Sentinel clients says. The official client's
 * own Sentinel mode is not used: it holds a command back for up to 17 seconds, loses a subscription whose first
 * connection to a new primary fails, and leaves that connection behind when it is stopped.
 */
export class PrimaryFinder implements Whereabouts {
  readonly moves = true;
  readonly #settings: ClientSettings;
  readonly #primary: string;
  /** In the order in which to ask: one that failed goes to the end. */
  #sentinels: Address[];

  constructor(settings: ClientSettings, target: SentinelTarget) {
    this.#settings = settings;
    this.#primary = target.primary;
    this.#sentinels = [...target.sentinels];
  }

  /** The primary's address. Rejects with each Sentinel's reason when none can tell. */
  async locate(signal: AbortSignal): Promise<Address> {
    const reasons: string[] = [];
    let last: unknown;
    for (const sentinel of [...this.#sentinels]) {
      try {
        return await this.#ask(sentinel, signal);
      } catch (error) {
        this.#sentinels = [...this.#sentinels.filter((other) => other !== sentinel), sentinel];
        last = error;
        reasons.push(`Sentinel ${showAddress(sentinel)}: ${describe(error)}`);
      }
    }
    throw new SentinelsFailedError(reasons.join("; "), { cause: last });
  }

  /** Throws when the server is no primary (any more): Sentinels may not have noticed yet. */
  async check(client: Client, address: Address): Promise<void> {
    let role: unknown;
    try {
      role = await client.sendCommand(["ROLE"]);
    } catch (error) {
      // Some users may not ask; a write to a replica will tell.
      if (isReply(error)) return;
      throw error;
    }
    if (Array.isArray(role) && String(role[0]) !== "master") {
      throw new Error(`${showAddress(address)} is not the primary, though the Sentinels say so`);
    }
  }

  /** A Sentinel often asks for no password where the server does; one that asks is given the same. */
  async #ask(sentinel: Address, signal: AbortSignal): Promise<Address> {
    try {
      return await this.#askAs(sentinel, false, signal);
    } catch (error) {
      if (isReply(error) && error.message.startsWith("NOAUTH") && this.#settings.target.password !== undefined) {
        return await this.#askAs(sentinel, true, signal);
      }
      throw error;
    }
  }

  async #askAs(sentinel: Address, asUser: boolean, stop: AbortSignal): Promise<Address> {
    const client = oneConnection(this.#settings, sentinel, { asUser, database: 0 });
    client.on("error", () => {});
    // Less than an attempt as a whole has, so that a silent Sentinel leaves time for the next.
    const ms = Math.round(this.#settings.deadlines.connect / 3);
    const connecting = client.connect();
    try {
      const reply = await withDeadline({ ms, late: () => new Error(`no answer within ${ms} ms`), stop }, async () => {
        await connecting;
        return await client.sendCommand(["SENTINEL", "GET-MASTER-ADDR-BY-NAME", this.#primary]);
      });
      if (!Array.isArray(reply)) throw new UnknownPrimaryNameError(this.#primary);
      return { host: String(reply[0]), port: Number(reply[1]) };
    } finally {
      discard(client, connecting);
    }
  }
}
