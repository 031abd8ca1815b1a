import { createHash, hkdfSync, randomBytes, timingSafeEqual } from "node:crypto";

/**
 * What two nodes say to each other before any frame (docs/adr/0011):
 *
 *   dialler  → listener: hello, with the versions it speaks, a nonce, who it is, and whom it means
 *   listener → dialler:  reply, with the version to speak, and a nonce
 *   dialler  → listener: its proof
 *   listener → dialler:  its proof
 *
 * Proofs and keys are derived from the cluster's secret and everything that was said, so that both are good for this
 * connection between these two nodes and no other. The dialler proves first: a stranger gets a nonce, and nothing else.
 */

/** The versions of the protocol that this node speaks. */
const spokenVersions: Versions = { oldest: 1, newest: 1 };

export interface Versions {
  readonly oldest: number;
  readonly newest: number;
}

/** One start of one node. */
export interface Identity {
  readonly tag: string;
  readonly incarnation: string;
}

/** The keys of both directions, as one side sees them. */
export interface DirectionKeys {
  readonly incoming: Buffer;
  readonly outgoing: Buffer;
}

/** The greeting failed; the message says why. */
export class GreetingFault extends Error {
  override readonly name = "GreetingFault";
}

export function writeHello(from: Identity, to: Identity, versions: Versions = spokenVersions): Buffer {
  const nonce = randomBytes(32).toString("base64url");
  return Buffer.from(JSON.stringify({ mooring: "hello", versions, nonce, from: plain(from), to: plain(to) }));
}

export interface Hello {
  readonly versions: Versions;
  readonly from: Identity;
  readonly to: Identity;
}

/** @throws GreetingFault when this is no hello */
export function readHello(message: Buffer): Hello {
  const { versions, nonce, from, to } = parse(message, "hello");
  if (!isVersions(versions) || !isNonce(nonce) || !isIdentity(from) || !isIdentity(to)) {
    throw new GreetingFault("its greeting can't be understood");
  }
  return { versions, from, to };
}

/** The newest version that both sides speak. */
export function commonVersion(theirs: Versions, ours: Versions = spokenVersions): number | undefined {
  const newest = Math.min(theirs.newest, ours.newest);
  return newest >= Math.max(theirs.oldest, ours.oldest) ? newest : undefined;
}

/** `version` undefined: there is no common one, and this is the end. */
export function writeReply(version: number | undefined): Buffer {
  const nonce = randomBytes(32).toString("base64url");
  return Buffer.from(JSON.stringify({ mooring: "reply", version: version ?? null, versions: spokenVersions, nonce }));
}

/** Gives the version to speak. @throws GreetingFault when there is none, or this is no reply */
export function readReply(message: Buffer, ours: Versions = spokenVersions): number {
  const { version, versions, nonce } = parse(message, "reply");
  if (!isVersions(versions) || !isNonce(nonce)) throw new GreetingFault("its reply can't be understood");
  if (version === null) throw new GreetingFault(noCommonVersion(versions, ours));
  if (typeof version !== "number" || commonVersion(versions, ours) !== version) {
    throw new GreetingFault(
      `it wants version ${JSON.stringify(version)} of the peer link's protocol, which is not common`,
    );
  }
  return version;
}

export function noCommonVersion(theirs: Versions, ours: Versions = spokenVersions): string {
  const said = ({ oldest, newest }: Versions) => `${oldest} to ${newest}`;
  return `it speaks versions ${said(theirs)} of the peer link's protocol and this node ${said(ours)}: upgrade the older one`;
}

/** What both sides make of the secret and of what was said. */
export interface Agreed {
  readonly diallerProof: Buffer;
  readonly listenerProof: Buffer;
  readonly toListener: Buffer;
  readonly toDialler: Buffer;
}

export function agree(secret: string, hello: Buffer, reply: Buffer): Agreed {
  const lengths = Buffer.alloc(8);
  lengths.writeUInt32BE(hello.length, 0);
  lengths.writeUInt32BE(reply.length, 4);
  const said = createHash("sha256").update(lengths).update(hello).update(reply).digest();
  const made = Buffer.from(hkdfSync("sha256", secret, said, "mooring peer link", 4 * 32));
  const part = (index: number) => made.subarray(index * 32, (index + 1) * 32);
  return { diallerProof: part(0), listenerProof: part(1), toListener: part(2), toDialler: part(3) };
}

/** @throws GreetingFault when the other side does not have the secret */
export function checkProof(given: Buffer, wanted: Buffer): void {
  if (given.length !== wanted.length || !timingSafeEqual(given, wanted)) {
    throw new GreetingFault("it does not have the cluster's secret");
  }
}

export function isSame(one: Identity, other: Identity): boolean {
  return one.tag === other.tag && one.incarnation === other.incarnation;
}

function plain({ tag, incarnation }: Identity): Identity {
  return { tag, incarnation };
}

function parse(message: Buffer, kind: "hello" | "reply"): Record<string, unknown> {
  let said: unknown;
  try {
    said = JSON.parse(message.toString());
  } catch {
    said = undefined;
  }
  if (typeof said !== "object" || said === null || (said as { mooring?: unknown }).mooring !== kind) {
    throw new GreetingFault("it does not speak the peer link's protocol");
  }
  return said as Record<string, unknown>;
}

function isNonce(value: unknown): boolean {
  return typeof value === "string" && value.length === 43;
}

function isVersions(value: unknown): value is Versions {
  const { oldest, newest } = (value ?? {}) as Partial<Versions>;
  return Number.isSafeInteger(oldest) && Number.isSafeInteger(newest) && (oldest as number) <= (newest as number);
}

function isIdentity(value: unknown): value is Identity {
  const { tag, incarnation } = (value ?? {}) as Partial<Identity>;
  return typeof tag === "string" && typeof incarnation === "string";
}
