import { randomBytes } from "node:crypto";
import type { Registry, SessionRecord } from "../../src/ports/registry.ts";

/** Makes started registries of so many nodes of one cluster. */
export type MakeCluster = (size: number) => Promise<Registry[]>;

export const first = { tag: "k3f9q2", incarnation: "first" };
export const second = { tag: "p7m2xa", incarnation: "second" };

export function newSession(overrides: Partial<SessionRecord> = {}): SessionRecord {
  const id = `k3f9q2.${randomBytes(18).toString("base64url")}`;
  return { id, owner: first, epoch: 1, createdAt: 1_760_000_000_000, client: "inspector/1.0", ...overrides };
}
