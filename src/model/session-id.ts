import { tagPattern } from "./tag.ts";

/** A session id taken apart: `<tag>.<random>` (docs/glossary.md). */
export interface SessionIdParts {
  /** The tag of the session's home. */
  readonly tag: string;
  readonly random: string;
}

/** 144 bits, which base64url writes in 24 characters without padding. */
export const randomBytesPerId = 18;

/** Makes an id of a home's tag and `randomBytesPerId` random bytes. */
export function mintSessionId(tag: string, random: Buffer): string {
  return `${tag}.${random.toString("base64url")}`;
}

/** Takes an id apart, or gives undefined for one that no node can have minted. */
export function parseSessionId(id: string): SessionIdParts | undefined {
  const dot = id.indexOf(".");
  const tag = id.slice(0, dot);
  const random = id.slice(dot + 1);
  if (dot < 0 || !tagPattern.test(tag) || !/^[\w-]{22,64}$/.test(random)) {
    return undefined;
  }
  return { tag, random };
}
