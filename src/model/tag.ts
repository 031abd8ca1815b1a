import { createHash } from "node:crypto";

/** Crockford's base32 in lowercase: no i, l, o or u, so that a tag read aloud at night is typed right. */
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

const tagLength = 6;

/** The shape of a tag. */
export const tagPattern = /^[0-9a-hjkmnp-tv-z]{6}$/;

/**
 * The tag of a node: 6 characters derived from its name alone, so that a restarted node mints ids that still lead to
 * it, and that every other node and the edge can compute it.
 */
export function tagOf(name: string): string {
  const digest = createHash("sha256").update(name).digest();
  let tag = "";
  for (let index = 0; index < tagLength; index += 1) {
    tag += alphabet[(digest[index] as number) & 31];
  }
  return tag;
}
