/**
 * What a JSON value was at one moment, kept apart from it: what is done to the value later doesn't reach it. It costs
 * about as much memory as the value's JSON, and is compared three times as fast, because nothing has to be written out.
 */
export type Imprint = string | number | boolean | null | readonly Imprint[] | ObjectImprint;

/** The order of keys is part of what an object was: a cache, say, may live by it. */
class ObjectImprint {
  readonly keys: readonly string[];
  readonly values: readonly Imprint[];
  constructor(keys: readonly string[], values: readonly Imprint[]) {
    this.keys = keys;
    this.values = values;
  }
}

/** Deeper than any sensible value; what contains itself is deeper than that. */
export const maxDepth = 500;

/** The longest that a number is as JSON, with a comma. */
const numberBytes = 26;

type Bag = Record<string, unknown>;

/** What `{}` and JSON.parse make, also in another realm, as some test runners have one for each file. */
function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null || Object.getPrototypeOf(prototype) === null;
}

function isPlainArray(value: unknown): value is unknown[] {
  // A class of its own would come back as a simple array.
  return Array.isArray(value) && Array.isArray(Object.getPrototypeOf(value));
}

/** How large a value is as JSON, in bytes: not exactly, because that would mean to write it out. */
interface Size {
  atLeast: number;
  atMost: number;
}

/**
 * Between which bounds the JSON of a value is, or undefined when the value isn't plain JSON. Looks no further when it
 * is certainly larger than `limit`: shared parts make some values small in memory and endless as JSON.
 */
export function sizeOf(value: unknown, limit: number): Size | undefined {
  const size: Size = { atLeast: 0, atMost: 0 };
  return add(value, size, limit, 0) ? size : undefined;
}

function add(value: unknown, size: Size, limit: number, depth: number): boolean {
  if (size.atLeast > limit) return true;
  switch (typeof value) {
    case "string":
      size.atLeast += value.length + 2;
      // A control character is written as \u0000.
      size.atMost += value.length * 6 + 3;
      return true;
    case "number":
      size.atLeast += 1;
      size.atMost += numberBytes;
      return Number.isFinite(value);
    case "boolean":
      size.atLeast += 4;
      size.atMost += 6;
      return true;
    case "object":
      break;
    default:
      return false;
  }
  size.atLeast += 2;
  size.atMost += 5;
  if (value === null) return true;
  if (depth === maxDepth) return false;
  if (isPlainArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      if (!add(value[index], size, limit, depth + 1)) return false;
    }
    return true;
  }
  if (!isPlain(value)) return false;
  for (const key in value) {
    if (key === "__proto__") return false;
    size.atLeast += key.length + 3;
    size.atMost += key.length * 6 + 4;
    if (!add((value as Bag)[key], size, limit, depth + 1)) return false;
  }
  return true;
}

/** The imprint of a value that is plain JSON (see {@link sizeOf}). */
export function imprintOf(value: unknown): Imprint {
  if (typeof value !== "object" || value === null) return value as Imprint;
  if (Array.isArray(value)) return value.map(imprintOf);
  const keys = Object.keys(value);
  return new ObjectImprint(
    keys,
    keys.map((key) => imprintOf((value as Bag)[key])),
  );
}

/** Whether a value is what it was. Anything that isn't plain JSON is not. */
export function matches(value: unknown, imprint: Imprint): boolean {
  if (typeof imprint !== "object" || imprint === null) return value === imprint;
  if (typeof value !== "object" || value === null) return false;
  if (!(imprint instanceof ObjectImprint)) {
    if (!isPlainArray(value) || value.length !== imprint.length) return false;
    for (let index = 0; index < imprint.length; index += 1) {
      if (!matches(value[index], imprint[index] as Imprint)) return false;
    }
    return true;
  }
  if (Array.isArray(value) || !isPlain(value)) return false;
  const { keys, values } = imprint;
  let index = 0;
  for (const key in value) {
    if (key !== keys[index] || !matches((value as Bag)[key], values[index] as Imprint)) return false;
    index += 1;
  }
  return index === keys.length;
}

/** A new value, which is what the other was. */
export function copyOf(imprint: Imprint): unknown {
  if (typeof imprint !== "object" || imprint === null) return imprint;
  if (!(imprint instanceof ObjectImprint)) return imprint.map(copyOf);
  const value: Bag = {};
  for (const [index, key] of imprint.keys.entries()) value[key] = copyOf(imprint.values[index] as Imprint);
  return value;
}
