import type { Client } from "./client-settings.ts";
import { backOff, pause, withDeadline } from "./deadline.ts";
import { describe } from "./failure.ts";
import type { Address } from "./redis-url.ts";

export interface KeptConnectionOptions {
  /** Where to connect; asked anew before each attempt, because a primary moves. */
  readonly locate: (signal: AbortSignal) => Promise<Address>;
  readonly create: (address: Address) => Client;
  /** What a new connection needs before it counts as up. */
  readonly prepare: (client: Client, address: Address) => Promise<void>;
  /** To be located, and to connect and prepare. */
  readonly withinMs: number;
  readonly onUp: (address: Address) => void;
  /** Tells why an attempt failed or the connection was lost. */
  readonly onFailure: (error: Error) => void;
}

/**
 * One connection that is made again, for ever, whenever it is lost. The official client can do that by itself only for
 * an address that never changes, and gives no way to end a connection that is open but silent: here each attempt is a
 * client of its own.
 */
export class KeptConnection {
  readonly #options: KeptConnectionOptions;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  #client: Client | undefined;
  #address: Address | undefined;

  constructor(options: KeptConnectionOptions) {
    this.#options = options;
  }

  /** The client to use, while the connection is up. */
  get client(): Client | undefined {
    return this.#client;
  }

  /** Where the connection leads, while it is up. */
  get address(): Address | undefined {
    return this.#address;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends the present connection, so that a new one is made. */
  drop(): void {
    this.#client?.destroy();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    this.#client?.destroy();
    await this.#running;
  }

  async #run(): Promise<void> {
    for (let attempt = 0; !this.#stop.signal.aborted; attempt += 1) {
      try {
        const address = await this.#within("say where to connect", this.#options.locate);
        const client = await this.#open(address);
        attempt = 0;
        this.#fail(await this.#untilLost(client, address));
      } catch (error) {
        this.#fail(error instanceof Error ? error : new Error(describe(error)));
      }
      await pause(backOff(attempt), this.#stop.signal);
    }
  }

  #fail(error: Error): void {
    if (!this.#stop.signal.aborted) this.#options.onFailure(error);
  }

  async #open(address: Address): Promise<Client> {
    const client = this.#options.create(address);
    // Failures reach us as rejections; without a listener the event would end the process.
    client.on("error", () => {});
    const connecting = client.connect();
    try {
      await this.#within("accept a connection", async () => {
        await connecting;
        await this.#options.prepare(client, address);
      });
      return client;
    } catch (error) {
      discard(client, connecting);
      throw error;
    }
  }

  async #untilLost(client: Client, address: Address): Promise<Error> {
    const lost = new Promise<Error>((resolve) => {
      client.once("error", resolve);
      client.once("end", () => resolve(new Error("the connection was closed")));
    });
    try {
      if (!client.isReady) return new Error("the connection was closed");
      this.#client = client;
      this.#address = address;
      this.#options.onUp(address);
      return await lost;
    } finally {
      this.#client = undefined;
      this.#address = undefined;
      client.destroy();
    }
  }

  #within<T>(doing: string, run: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { withinMs: ms } = this.#options;
    const late = () => new Error(`it did not ${doing} within ${ms} ms`);
    return withDeadline({ ms, late, stop: this.#stop.signal }, run);
  }
}

/** Ends a client, also one that is still connecting: its socket is only within reach once that is over. */
export function discard(client: Client, connecting: Promise<unknown>): void {
  client.destroy();
  connecting.then(
    () => client.destroy(),
    () => {},
  );
}
