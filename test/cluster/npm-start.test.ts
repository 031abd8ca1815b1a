import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lookUpProcess } from "../../src/local/process-table.ts";
import { eventually } from "../support/eventually.ts";
import type { ReadyLine } from "./harness.ts";
import { MooringProcess } from "./mooring-process.ts";
import { expectGone, processesOf } from "./processes.ts";

let state: string;
let npm: MooringProcess | undefined;
beforeEach(async () => {
  state = await mkdtemp(join(tmpdir(), "mooring-test-"));
});
afterEach(async () => {
  npm?.signal("SIGKILL");
  await rm(state, { recursive: true, force: true });
});

/** npm says what it runs before what that prints. */
const readyOf = (stdout: string) => stdout.split("\n").find((line) => line.startsWith('{"event":"ready"'));

/** The process that started another, if it lives. */
const parentOf = (pid: number) => lookUpProcess(pid)?.parent ?? 0;

test.each(["SIGTERM", "SIGINT", "SIGKILL"] as const)("%s to npm's own process ends everything", async (signal) => {
  npm = new MooringProcess(["start", "--", "--port", "0", "--json", "--nodes", "1"], { XDG_STATE_HOME: state }, [
    "npm",
  ]);
  const line = await eventually(() => {
    const found = readyOf(npm?.stdout ?? "");
    if (found === undefined) throw new Error(`not ready: ${npm?.told()}`);
    return found;
  }, 60_000);
  const ready = JSON.parse(line) as ReadyLine;
  expect(ready.graphql).toBeDefined();
  const pids = processesOf(ready);
  const up = parentOf(ready.traefik.pid);
  const all = [...pids, up, parentOf(up)];
  expect(all).not.toContain(0);
  npm.signal(signal);
  await npm.exit(15_000);
  await expectGone(all, 15_000);
});
