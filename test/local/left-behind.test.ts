import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";
import { lookUpProcess } from "../../src/local/process-table.ts";
import { node, root } from "../cluster/mooring-process.ts";
import { eventually } from "../support/eventually.ts";

let owner: ChildProcess | undefined;
afterEach(() => owner?.kill("SIGKILL"));

/** Starts children as `mooring up` does, tells their pids, and waits. */
const ownerScript = `
import { OwnedProcess } from "${root}/src/local/owned-process.ts";
import { Reaper } from "${root}/src/local/reaper.ts";
const reaper = new Reaper();
const start = (script) => OwnedProcess.start({ name: "child", command: "/bin/sh", args: ["-c", script], reaper });
const obedient = await start("exec sleep 600");
const stubborn = await start("trap '' TERM; while :; do sleep 1; done");
const frozen = await start("exec sleep 600");
const family = await start("sleep 600 & echo $!; wait");
frozen.signal("SIGSTOP");
await family.ready(() => family.lastLines() !== "", 5000);
process.on("SIGTERM", async () => { await reaper.stop(); process.exit(0); });
console.log(JSON.stringify([obedient.pid, stubborn.pid, frozen.pid, family.pid, Number(family.lastLines())]));
setInterval(() => {}, 1000);
`;

async function startOwner(): Promise<number[]> {
  owner = spawn(node, ["--input-type=module-typescript", "-e", ownerScript], { stdio: ["ignore", "pipe", "inherit"] });
  const [line] = await once(owner.stdout as NodeJS.ReadableStream, "data");
  return JSON.parse(String(line)) as number[];
}

const living = (pids: readonly number[]) => pids.filter((pid) => lookUpProcess(pid)?.zombie === false);

test("when the owner is killed, its children end: obedient, stubborn, frozen, and what they started themselves", async () => {
  const pids = await startOwner();
  expect(living(pids)).toEqual(pids);
  owner?.kill("SIGKILL");
  await eventually(() => expect(living(pids)).toEqual([]), 8_000);
});

test("when the owner ends its reaper, nothing of them is left", async () => {
  const pids = await startOwner();
  owner?.kill("SIGTERM");
  await once(owner as ChildProcess, "exit");
  await eventually(() => expect(living(pids)).toEqual([]), 2_000);
});
