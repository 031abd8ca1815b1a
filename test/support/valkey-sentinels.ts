import { createClient } from "redis";
import { eventually } from "./eventually.ts";
import { startValkey, type Valkey } from "./valkey.ts";

/** A primary and a replica, watched by three real Sentinels. */
export interface ValkeySentinels {
  /** `redis+sentinel://…/trips` with all three. */
  readonly url: string;
  readonly primary: Valkey;
  readonly replica: Valkey;
  readonly sentinels: readonly Valkey[];
  stop(): Promise<void>;
}

export async function startValkeySentinels(): Promise<ValkeySentinels> {
  const started: Valkey[] = [];
  const keep = (valkey: Valkey): Valkey => {
    started.push(valkey);
    return valkey;
  };
  const stop = async () => void (await Promise.all(started.map((valkey) => valkey.stop())));
  try {
    const primary = keep(await startValkey({ args: ["--repl-diskless-sync-delay", "0"] }));
    const replica = keep(await startValkey({ args: ["--replicaof", "127.0.0.1", String(primary.port)] }));
    const sentinels: Valkey[] = [];
    for (let index = 0; index < 3; index += 1) sentinels.push(keep(await startSentinel(primary.port)));
    await Promise.all(sentinels.map(seesAll));
    const hosts = sentinels.map(({ port }) => `127.0.0.1:${port}`).join(",");
    return { url: `redis+sentinel://${hosts}/trips`, primary, replica, sentinels, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function startSentinel(primaryPort: number): Promise<Valkey> {
  const config = [
    `sentinel monitor trips 127.0.0.1 ${primaryPort} 2`,
    "sentinel down-after-milliseconds trips 500",
    "sentinel failover-timeout trips 3000",
  ];
  return await startValkey({ config: config.join("\n"), args: ["--sentinel"] });
}

async function seesAll(sentinel: Valkey): Promise<void> {
  const client = await createClient({ url: sentinel.url }).connect();
  try {
    await eventually(async () => {
      const reply = (await client.sendCommand(["SENTINEL", "MASTER", "trips"])) as unknown;
      const facts = JSON.stringify(reply);
      const others = /"num-other-sentinels"[:,]"2"/.test(facts);
      if (!others || !/"num-slaves"[:,]"1"/.test(facts)) throw new Error(facts);
    }, 20_000);
  } finally {
    client.destroy();
  }
}
