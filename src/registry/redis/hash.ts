/** What a hash holds. */
export type Hash = Readonly<Record<string, string>>;

/** Reads a hash as Redis gives it: as a map, or as fields and values in turns. An empty one is a key that is not there. */
export function readHash(reply: unknown): Hash | undefined {
  if (typeof reply !== "object" || reply === null) return undefined;
  const entries = Array.isArray(reply) ? inPairs(reply) : reply instanceof Map ? [...reply] : Object.entries(reply);
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.map(([field, value]) => [String(field), String(value)]));
}

function inPairs(list: readonly unknown[]): [unknown, unknown][] {
  const pairs: [unknown, unknown][] = [];
  for (let index = 0; index + 1 < list.length; index += 2) pairs.push([list[index], list[index + 1]]);
  return pairs;
}
