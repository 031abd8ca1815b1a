import { RegistryError } from "../../ports/registry.ts";
import { type Client, type ClientSettings, oneConnection } from "./client-settings.ts";
import { isDemoted } from "./failure.ts";
import { KeptConnection } from "./kept-connection.ts";
import type { Link, LinkEvents } from "./link.ts";
import type { Address } from "./redis-url.ts";
import { ReplicaWaits } from "./replica-waits.ts";
import { loadScripts } from "./scripts.ts";

/** Where the one server is. */
export interface Whereabouts {
  locate(signal: AbortSignal): Promise<Address>;
  /** Throws when the server that was found is not the one to use. */
  check(client: Client, address: Address): Promise<void>;
  /** Whether the server may move: then a write that reached a replica means that it has. */
  readonly moves: boolean;
}

/** The way to one server: the URL's, or whichever the Sentinels name as the primary. */
export class ServerLink implements Link {
  readonly oneServer = true;
  readonly #where: Whereabouts;
  readonly #connection: KeptConnection;
  readonly #replicas: ReplicaWaits;

  constructor(settings: ClientSettings, where: Whereabouts, events: LinkEvents) {
    this.#where = where;
    this.#replicas = new ReplicaWaits({ withinMs: settings.deadlines.replica, ...events });
    this.#connection = new KeptConnection({
      locate: (signal) => where.locate(signal),
      create: (address) => oneConnection(settings, address),
      prepare: async (client, address) => {
        await where.check(client, address);
        await loadScripts(client);
        await this.#replicas.look(client);
      },
      withinMs: settings.deadlines.connect,
      ...events,
    });
  }

  start(): void {
    this.#connection.start();
  }

  async send(_key: string, command: readonly string[], signal: AbortSignal): Promise<unknown> {
    return await this.#onPrimary((client) => client.sendCommand([...command], { abortSignal: signal }));
  }

  async sendReplicated(_key: string, command: readonly string[], signal: AbortSignal): Promise<unknown> {
    return await this.#onPrimary((client) => this.#replicas.send(client, command, signal));
  }

  async probe(key: string, signal: AbortSignal): Promise<void> {
    await this.send(key, ["PING"], signal);
  }

  renew(): void {
    this.#connection.drop();
  }

  /** Where the commands go, so that a subscriber hears what they publish. */
  async subscriberAddress(signal: AbortSignal): Promise<Address> {
    return this.#connection.address ?? (await this.#where.locate(signal));
  }

  async stop(): Promise<void> {
    await this.#connection.stop();
  }

  async #onPrimary(run: (client: Client) => Promise<unknown>): Promise<unknown> {
    const { client } = this.#connection;
    if (client === undefined) throw new Error("it is not connected");
    try {
      return await run(client);
    } catch (error) {
      if (!this.#where.moves || !isDemoted(error)) throw error;
      this.#connection.drop();
      throw new RegistryError("unavailable", "The primary of Redis has become a replica; looking for the new one.", {
        cause: error,
      });
    }
  }
}
