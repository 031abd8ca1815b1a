import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** The header by which a node proves to another that it belongs to the cluster. */
export const proofHeader = "mooring-peer";

/** What a proof is about: it is good for this request and no other. */
export interface Proven {
  /** The node that it is sent to. */
  readonly to: string;
  readonly method: string;
  readonly path: string;
  readonly session: string;
  readonly body: string | undefined;
}

/** For how long a proof is good, in milliseconds; clocks of nodes may differ by as much. */
const goodForMs = 30_000;

/** Proofs remembered in each half of that time. Beyond it requests are refused rather than replays accepted. */
const defaultMaxRemembered = 200_000;

function mac(secret: string, proven: Proven, time: string, nonce: string): Buffer {
  // None of these can hold a line break, so that the body begins in one place only.
  const hmac = createHmac("sha256", secret);
  hmac.update(`${proven.to}\n${proven.method}\n${proven.path}\n${proven.session}\n${time}\n${nonce}\n`);
  if (proven.body !== undefined) hmac.update(proven.body);
  return hmac.digest();
}

/** A nonce has to be new, not secret: a start that no other process has, and a count. */
const ownStart = randomBytes(12).toString("base64url");
let proofs = 0;

/** Makes the proof of a request. */
export function prove(secret: string, proven: Proven, now: number): string {
  const time = now.toString(36);
  proofs += 1;
  const nonce = `${ownStart}${proofs.toString(36)}`;
  return `${time}.${nonce}.${mac(secret, proven, time, nonce).toString("base64url")}`;
}

/** Why a proof is refused. */
export type ProofFault = "missing" | "wrong" | "too old or clocks differ" | "used already" | "too many";

/** Checks proofs. Each is accepted once: what was overheard on the network can't be sent again. */
export class ProofChecker {
  readonly #secret: string;
  readonly #maxRemembered: number;
  #recent = new Set<string>();
  #older = new Set<string>();
  #turned = 0;

  constructor(secret: string, maxRemembered = defaultMaxRemembered) {
    this.#secret = secret;
    this.#maxRemembered = maxRemembered;
  }

  /** Gives what is wrong with a proof, or undefined for a good one. */
  fault(proof: string | undefined, proven: Proven, now: number): ProofFault | undefined {
    if (proof === undefined) return "missing";
    const [time, nonce, given, more] = proof.split(".");
    if (time === undefined || nonce === undefined || given === undefined || more !== undefined) return "wrong";
    const wanted = mac(this.#secret, proven, time, nonce);
    const found = Buffer.from(given, "base64url");
    if (found.length !== wanted.length || !timingSafeEqual(found, wanted)) return "wrong";
    if (!(Math.abs(now - Number.parseInt(time, 36)) <= goodForMs)) return "too old or clocks differ";
    this.#turn(now);
    if (this.#recent.has(nonce) || this.#older.has(nonce)) return "used already";
    if (this.#recent.size >= this.#maxRemembered) return "too many";
    this.#recent.add(nonce);
    return undefined;
  }

  /** A proof is good for the given time before and after its own; two such spans are remembered. */
  #turn(now: number): void {
    if (now - this.#turned < 2 * goodForMs) return;
    this.#older = now - this.#turned < 4 * goodForMs ? this.#recent : new Set();
    this.#recent = new Set();
    this.#turned = now;
  }
}
