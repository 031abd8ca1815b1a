/** The revisions of MCP that have sessions, newest first; what a v1 server speaks, which doesn't say so itself. */
export const sessionRevisions: readonly string[] = [
  "2025-11-25",
  "2025-06-18",
  "2025-03-26",
  "2024-11-05",
  "2024-10-07",
];

/** Whether clients of a revision can parse an event with empty data (2025-11-25 and later). */
export function canBePrimed(revision: string): boolean {
  return sessionRevisions.includes(revision) && revision >= "2025-11-25";
}

/** Whether a revision has JSON-RPC batches: 2025-06-18 removed them (its changelog, point 1). */
export function hasBatches(revision: string): boolean {
  return revision < "2025-06-18";
}
