import { createHash } from "node:crypto";
import type { ListName } from "../ports/registry.ts";
import type { JsonRpcMessage } from "./json-rpc.ts";

/** What a server lists, and how it says that a list has changed. */
export interface ListKind {
  readonly method: string;
  /** The field of the result that holds the items. */
  readonly name: ListName;
  /** The capability without which a server has no such list. */
  readonly capability: string;
  readonly changed: string;
}

export const listKinds: readonly ListKind[] = [
  {
    method: "tools/list",
    name: "tools",
    capability: "tools",
    changed: "notifications/tools/list_changed",
  },
  {
    method: "resources/list",
    name: "resources",
    capability: "resources",
    changed: "notifications/resources/list_changed",
  },
  {
    method: "resources/templates/list",
    name: "resourceTemplates",
    capability: "resources",
    changed: "notifications/resources/list_changed",
  },
  {
    method: "prompts/list",
    name: "prompts",
    capability: "prompts",
    changed: "notifications/prompts/list_changed",
  },
];

const byMethod = new Map(listKinds.map((kind) => [kind.method, kind]));

/** The list of which a request asks for the first page. */
export function listOf(method: string, params: JsonRpcMessage["params"]): ListKind | undefined {
  return params?.cursor === undefined ? byMethod.get(method) : undefined;
}

/**
 * A digest of the first page of a list: of its items in any order, and of whether there are more. Undefined: the result
 * has no such list. Cursors are left out, since a server may make others up each time.
 */
export function digestOf(name: ListName, result: NonNullable<JsonRpcMessage["result"]>): string | undefined {
  const items = result[name];
  if (!Array.isArray(items)) return undefined;
  const hash = createHash("sha256");
  for (const item of items.map((each) => JSON.stringify(each)).sort()) hash.update(`${item}\n`);
  if (result.nextCursor !== undefined) hash.update("and more");
  return hash.digest("base64url").slice(0, 22);
}
