import { randomBytes } from "node:crypto";
import type { Settings } from "../model/settings.ts";
import type { Log } from "../ports/log.ts";
import type { NodeRecord, Registry } from "../ports/registry.ts";
import type { Exchange } from "./exchange.ts";
import type { NodeMetrics } from "./metrics.ts";
import { type NoLink, PeerClient } from "./peer/client.ts";
import type { Identity } from "./peer/greeting.ts";
import { PeerListener } from "./peer/listener.ts";
import type { Answer, Question, QuestionHandler } from "./peer/question.ts";
import { type ReachableNodes, Relays } from "./relays.ts";

export interface PeeringParts {
  readonly settings: Settings;
  readonly self: Identity;
  /** Where the node serves: its host is the peer link's, unless `--peer-url` says otherwise. */
  readonly url: string;
  readonly registry: Registry;
  readonly nodes: ReachableNodes;
  readonly metrics: NodeMetrics;
  readonly log: Log;
  relayed(exchange: Exchange): Promise<void>;
}

/** Both ends of the peer link of one node: what it passes on, and what it is passed. */
export interface Peering {
  /** Where other nodes reach this one. */
  readonly url: string;
  readonly relays: Relays;
  /** Asks another node a question. What came of it, when there is no answer: see {@link PeerClient.ask}. */
  ask(node: NodeRecord, question: Question, deadlineMs: number): Promise<Answer | NoLink>;
  /** Lets this node answer a kind of question. */
  onQuestion(kind: string, handler: QuestionHandler): void;
  /** Lets go of the connections to all other nodes than these. */
  keepOnly(nodes: readonly NodeRecord[]): void;
  /** Puts the secret into the registry again, after that lost its entries: nodes that start later must get the same. */
  shareSecret(): Promise<void>;
  stop(): Promise<void>;
}

/** Opens a node's peer link. Rejects when its address can't be taken or the registry does not give the secret. */
export async function startPeering(parts: PeeringParts): Promise<Peering> {
  const { settings, self, url, registry, nodes, metrics, log, relayed } = parts;
  const secret =
    settings.peerSecret === ""
      ? await registry.sharedSecret(randomBytes(32).toString("base64url"))
      : settings.peerSecret;
  const { hostname, port } = new URL(settings.peerUrl === "" ? `http://${new URL(url).hostname}:0` : settings.peerUrl);
  const listener = await PeerListener.start({ self, secret, log, relayed }, bindAddress(hostname), Number(port));
  const peers = new PeerClient({ self, secret, probeMs: settings.probe, holdMs: settings.hold, log });
  return {
    url: `http://${hostname}:${listener.port}`,
    relays: new Relays({ self: self.tag, nodes, peers, metrics, log }),
    ask: (node, question, deadlineMs) => peers.ask(node, question, deadlineMs),
    onQuestion: (kind, handler) => listener.onQuestion(kind, handler),
    keepOnly: (known) => peers.keepOnly(known),
    shareSecret: async () => {
      if (settings.peerSecret === "") await registry.sharedSecret(secret);
    },
    stop: async () => {
      await peers.stop();
      await listener.stop();
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
