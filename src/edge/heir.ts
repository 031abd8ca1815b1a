import { createHash } from "node:crypto";

/**
 * Chooses who inherits a tag (rendezvous hashing): whoever asks gets the same answer without asking anybody, and when
 * a candidate comes or goes, only the tags that it wins or had change hands. Undefined without candidates.
 */
export function heirOf(tag: string, candidates: readonly string[]): string | undefined {
  let heir: string | undefined;
  let highest = "";
  for (const candidate of candidates) {
    const weight = createHash("sha256").update(`${tag} ${candidate}`).digest("hex");
    if (weight > highest) {
      heir = candidate;
      highest = weight;
    }
  }
  return heir;
}
