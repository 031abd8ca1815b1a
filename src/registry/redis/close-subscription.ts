import type { Log } from "../../ports/log.ts";
import { type ClientSettings, oneConnection } from "./client-settings.ts";
import { describe } from "./failure.ts";
import { KeptConnection } from "./kept-connection.ts";
import { type Address, showAddress } from "./redis-url.ts";

export interface CloseSubscriptionOptions {
  readonly settings: ClientSettings;
  readonly channel: string;
  readonly locate: (signal: AbortSignal) => Promise<Address>;
  readonly log: Log;
  readonly onClosed: (id: string) => void;
  readonly onUp: () => void;
  readonly onFailure: (error: Error) => void;
}

/**
 * Hears which sessions are closed, on a connection of its own that subscribes anew after each loss. What is published
 * in between goes unheard.
 */
export class CloseSubscription {
  readonly #connection: KeptConnection;
  #state: "starting" | "up" | "down" = "starting";

  constructor({ settings, channel, locate, log, onClosed, onUp, onFailure }: CloseSubscriptionOptions) {
    this.#connection = new KeptConnection({
      locate,
      create: (address) => oneConnection(settings, address, { pings: true }),
      prepare: async (client) => {
        // In a task of its own: an error of a listener must not reach the client's parser.
        await client.subscribe(channel, (id) => queueMicrotask(() => onClosed(id)));
      },
      withinMs: settings.deadlines.connect,
      onUp: (address) => {
        if (this.#state === "down") log.info("registry-subscription-up", { redis: showAddress(address) });
        this.#state = "up";
        onUp();
      },
      onFailure: (error) => {
        if (this.#state === "up") {
          this.#state = "down";
          log.warn("registry-subscription-down", { why: describe(error) });
        }
        onFailure(error);
      },
    });
  }

  start(): void {
    this.#connection.start();
  }

  /** Follows when the commands go to another primary than the one that is listened to. */
  follow(address: Address): void {
    const here = this.#connection.address;
    if (here !== undefined && showAddress(here) !== showAddress(address)) this.#connection.drop();
  }

  async stop(): Promise<void> {
    await this.#connection.stop();
  }
}
