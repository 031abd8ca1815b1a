import { randomBytes } from "node:crypto";
import type { Settings } from "../model/settings.ts";
import type { Log } from "../ports/log.ts";
import type { Registry } from "../ports/registry.ts";
import type { Exchange } from "./exchange.ts";
import type { NodeMetrics } from "./metrics.ts";
import { PeerClient } from "./peer-client.ts";
import { PeerLink } from "./peer-link.ts";
import { type ReachableNodes, Relays } from "./relays.ts";

export interface PeeringParts {
  readonly settings: Settings;
  readonly tag: string;
  /** Where the node serves: its host is the peer link's, unless `--peer-url` says otherwise. */
  readonly url: string;
  readonly registry: Registry;
  readonly nodes: ReachableNodes;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  now(): number;
  relayed(exchange: Exchange): Promise<void>;
}

/** Both ends of the peer link of one node: what it passes on, and what it is passed. */
export interface Peering {
  /** Where other nodes reach this one. */
  readonly url: string;
  readonly relays: Relays;
  readonly peers: PeerClient;
  stop(): Promise<void>;
}

/** Opens a node's peer link. Rejects when its address can't be taken or the registry does not give the secret. */
export async function startPeering(parts: PeeringParts): Promise<Peering> {
  const { settings, tag, url, registry, nodes, metrics, log, now, relayed } = parts;
  const secret =
    settings.peerSecret === ""
      ? await registry.sharedSecret(randomBytes(32).toString("base64url"))
      : settings.peerSecret;
  const { hostname, port } = new URL(settings.peerUrl === "" ? `http://${new URL(url).hostname}:0` : settings.peerUrl);
  const link = await PeerLink.start({ tag, secret, log, now, relayed }, bindAddress(hostname), Number(port));
  const peers = new PeerClient({ secret, probeMs: settings.probe, now });
  return {
    url: `http://${hostname}:${link.port}`,
    relays: new Relays({ self: tag, nodes, peers, metrics, log }),
    peers,
    stop: async () => {
      await peers.stop();
      await link.stop();
    },
  };
}

/**
 * A name of this machine on loopback stays there; every other name may be one that only other machines know. For those
 * it is left to Node to take all addresses, of IPv6 too where the machine has it.
 */
function bindAddress(hostname: string): string | undefined {
  if (hostname === "localhost" || hostname.startsWith("127.")) return "127.0.0.1";
  return hostname === "[::1]" ? "::1" : undefined;
}
