import { reportFailure } from "./output.ts";

const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

/**
 * Somebody who interrupts a command that waits for others may think that these stop too: says what goes on, and ends as
 * the signal would have ended it. Gives the way to listen no more.
 */
export function sayWhenInterrupted(what: () => string, json: boolean): () => void {
  const onSignal = (signal: NodeJS.Signals) => {
    stop();
    reportFailure({ code: "interrupted", message: `Interrupted. ${what()}`, exitCode: 1 }, json);
    process.kill(process.pid, signal);
  };
  const stop = () => {
    for (const signal of signals) process.off(signal, onSignal);
  };
  for (const signal of signals) process.on(signal, onSignal);
  return stop;
}
