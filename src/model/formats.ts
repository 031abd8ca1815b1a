/**
 * The formats in which sessions are kept: their journal, state, ledger and events, as one. A change of it that an older
 * node could not read makes a new format. A node reads the last two, so that a cluster is updated node by node, and back.
 */
export interface FormatRange {
  readonly oldest: number;
  readonly newest: number;
}

/** The format of sessions that don't say theirs, and the only one that is read by nodes that don't say what they read. */
export const firstFormat = 1;

const firstOnly: FormatRange = { oldest: firstFormat, newest: firstFormat };

/** The formats that this node reads and writes. */
export const ownFormats: FormatRange = firstOnly;

/** Whether a node can take up a session. */
export function canRead(reads: FormatRange = firstOnly, format: number = firstFormat): boolean {
  return format >= reads.oldest && format <= reads.newest;
}

/**
 * The format in which a session begins: the newest that this node writes and all members read, so that each of them can
 * take it up. It keeps that format for its life. A member that reads none of this node's formats is two changes behind,
 * and not waited for.
 */
export function formatToWrite(
  own: FormatRange,
  members: readonly { readonly reads?: FormatRange | undefined }[],
): number {
  const newest = members.reduce((least, { reads = firstOnly }) => Math.min(least, reads.newest), own.newest);
  return Math.max(newest, own.oldest);
}
