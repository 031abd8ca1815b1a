// Runs one step of `npm test` as a process of its own.
import { spawn } from "node:child_process";
import { delimiter, join } from "node:path";

const graceMs = 5_000;

/** This process was told to stop, and the step has ended. */
export class Interrupted extends Error {
  constructor(signal) {
    super(`ended by ${signal}`);
    this.signal = signal;
  }
}

/** 0.3 s, 12 s, 2 min 5 s */
export function seconds(ms) {
  if (ms < 9_950) return `${(ms / 1000).toFixed(1)} s`;
  const whole = Math.round(ms / 1000);
  return whole < 60 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}

/**
 * Prints a heading, runs the command with node_modules/.bin first in PATH, and gives whether it succeeded and how long
 * it took; throws {@link Interrupted} when this process is told to stop. The command gets a process group of its own,
 * which ends as a whole: with the step, at its deadline, or when this process is told to stop.
 */
export async function runStep(root, { name, command, environment = {}, minutes = 10 }) {
  console.log(`\n== ${name}: ${command.join(" ")}`);
  const started = performance.now();
  const [file, ...args] = command;
  const child = spawn(file, args, {
    cwd: root,
    env: {
      ...process.env,
      ...environment,
      PATH: `${join(root, "node_modules", ".bin")}${delimiter}${process.env.PATH ?? ""}`,
    },
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  let told;
  let kill;
  const end = (signal) => {
    told = signal;
    signalGroup(child, "SIGTERM");
    kill ??= setTimeout(() => signalGroup(child, "SIGKILL"), graceMs);
  };
  const deadline = setTimeout(() => {
    console.error(`${name} was not done after ${minutes} minutes and is ended.`);
    end(undefined);
  }, minutes * 60_000);
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
  for (const signal of signals) process.on(signal, end);

  const ok = await new Promise((resolve) => {
    child.on("error", (error) => {
      console.error(`${file} could not be started: ${error.message}. Try: npm ci`);
      resolve(false);
    });
    child.on("exit", (code) => resolve(code === 0));
  });
  clearTimeout(deadline);
  clearTimeout(kill);
  for (const signal of signals) process.off(signal, end);
  signalGroup(child, "SIGKILL");
  if (told !== undefined) throw new Interrupted(told);
  return { ok, ms: performance.now() - started };
}

function signalGroup(child, signal) {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // Nothing is left of the group.
  }
}
