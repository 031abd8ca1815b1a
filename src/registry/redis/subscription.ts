import type { Log } from "../../ports/log.ts";
import { type ClientSettings, oneConnection } from "./client-settings.ts";
import { describe } from "./failure.ts";
import { KeptConnection } from "./kept-connection.ts";
import { type Address, showAddress } from "./redis-url.ts";

export interface SubscriptionOptions {
  readonly settings: ClientSettings;
  /** Channels, each with who is told its messages. */
  readonly channels: Readonly<Record<string, (message: string) => void>>;
  readonly locate: (signal: AbortSignal) => Promise<Address>;
  readonly log: Log;
  readonly onUp: () => void;
  /** It is up again after it was not. */
  readonly onUpAgain: () => void;
  readonly onFailure: (error: Error) => void;
}

/**
 * Hears what nodes tell each other, on a connection of its own that subscribes anew after each loss. What is published
 * in between goes unheard: whoever listens is told that there was a gap.
 */
export class Subscription {
  readonly #connection: KeptConnection;
  #state: "starting" | "up" | "down" = "starting";

  constructor({ settings, channels, locate, log, onUp, onUpAgain, onFailure }: SubscriptionOptions) {
    this.#connection = new KeptConnection({
      locate,
      create: (address) => oneConnection(settings, address, { pings: true }),
      prepare: async (client) => {
        for (const [channel, tell] of Object.entries(channels)) {
          // In a task of its own: an error of a listener must not reach the client's parser.
          await client.subscribe(channel, (message) => queueMicrotask(() => tell(message)));
        }
      },
      withinMs: settings.deadlines.connect,
      onUp: (address) => {
        const wasDown = this.#state === "down";
        this.#state = "up";
        onUp();
        if (!wasDown) return;
        log.info("registry-subscription-up", { redis: showAddress(address) });
        onUpAgain();
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
