/**
 * One wish to stop often comes as several signals: Ctrl-C reaches every process of a terminal's foreground, and npm
 * passes on what it gets itself. What comes so soon after the first is the same wish.
 */
const sameWishMs = 500;

/** Calls back at the first signal to stop, and again when somebody insists. */
export function onStopSignals(stop: () => void, insist: () => void): void {
  let first: number | undefined;
  const onSignal = () => {
    const now = performance.now();
    if (first === undefined) {
      first = now;
      stop();
    } else if (now - first > sameWishMs) {
      insist();
    }
  };
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"] as const) process.on(signal, onSignal);
}
