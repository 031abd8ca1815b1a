import { maxDepth } from "./json-value.ts";

/** Why a value can't be kept as JSON. */
export interface JsonFault {
  /** Where in the value, e.g. `.items[2].when`; empty for the value itself. */
  readonly path: string;
  /** What is there, e.g. "a Date". */
  readonly what: string;
  /** What to do about it. */
  readonly next: string;
}

/** What keeps a value from being plain JSON. */
export function faultIn(value: unknown): JsonFault | undefined {
  return look(value, "", []);
}

function look(value: unknown, path: string, above: readonly unknown[]): JsonFault | undefined {
  const fault = faultOf(value);
  if (fault !== undefined) return { path, ...fault };
  if (typeof value !== "object" || value === null) return undefined;
  if (above.includes(value)) return { path, what: "a part of itself", next: "keep an id in place of the reference" };
  if (above.length === maxDepth) return { path: "", what: `nested more than ${maxDepth} deep`, next: "flatten it" };
  const inside = [...above, value];
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index += 1) {
      const found = look(value[index], `${path}[${index}]`, inside);
      if (found !== undefined) return found;
    }
    return undefined;
  }
  for (const [key, part] of Object.entries(value)) {
    const at = /^[\w$]+$/.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`;
    if (key === "__proto__") return { path: at, what: "a property of this name", next: "give it another name" };
    const found = look(part, at, inside);
    if (found !== undefined) return found;
  }
  return undefined;
}

type Fault = Omit<JsonFault, "path">;

function faultOf(value: unknown): Fault | undefined {
  switch (typeof value) {
    case "undefined":
      return { what: "undefined", next: "leave it out, or use null" };
    case "function":
      return { what: "a function", next: "keep the data that it works on, and make the function where it is used" };
    case "symbol":
      return { what: "a symbol", next: "use a string" };
    case "bigint":
      return { what: "a bigint", next: "keep it as a string, and read it with BigInt(…)" };
    case "number":
      return Number.isFinite(value) ? undefined : { what: String(value), next: "use null or a string" };
    case "object":
      return value === null ? undefined : faultOfObject(value);
    default:
      return undefined;
  }
}

/** What is often tried, and how it is kept as JSON. */
const known: readonly (readonly [new (...args: never[]) => object, Fault])[] = [
  [Date, { what: "a Date", next: "keep its toISOString()" }],
  [Map, { what: "a Map", next: "keep an object, or an array of its entries, and make the Map where it is used" }],
  [Set, { what: "a Set", next: "keep an array, and make the Set where it is used" }],
  [Promise, { what: "a Promise", next: "await it first" }],
  [ArrayBuffer, { what: "binary data", next: "keep it as a base64 string" }],
  [Error, { what: "an Error", next: "keep its message" }],
];

function faultOfObject(value: object): Fault | undefined {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === null || Array.isArray(prototype)) return undefined;
  if (!Array.isArray(value) && Object.getPrototypeOf(prototype) === null) return undefined;
  if (ArrayBuffer.isView(value)) return { what: "binary data", next: "keep it as a base64 string" };
  const found = known.find(([type]) => value instanceof type);
  if (found !== undefined) return found[1];
  const name = value.constructor?.name;
  return {
    what: name ? `an instance of ${name}` : "an object with a prototype of its own",
    next: "keep a plain object with its data",
  };
}
