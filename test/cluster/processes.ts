import { expect } from "vitest";
import { lookUpProcess } from "../../src/local/process-table.ts";
import { eventually } from "../support/eventually.ts";
import type { ReadyLine } from "./harness.ts";

/** The processes of a cluster, as its ready line names them. */
export function processesOf({ traefik, redis, nodes }: ReadyLine): number[] {
  return [traefik.pid, ...(redis.pid === undefined ? [] : [redis.pid]), ...nodes.map(({ pid }) => pid)];
}

/** Those that live. A zombie has ended: that nobody has asked for its exit status is not its fault. */
export function living(pids: readonly number[]): number[] {
  return pids.filter((pid) => lookUpProcess(pid)?.zombie === false);
}

/** Waits until none of them lives. */
export async function expectGone(pids: readonly number[], withinMs: number): Promise<void> {
  await eventually(() => expect(living(pids)).toEqual([]), withinMs);
}
