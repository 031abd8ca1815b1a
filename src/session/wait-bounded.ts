/** Whether a promise is settled within a time. Waits no longer once the signal has aborted. Never rejects. */
export async function endsWithin(
  promise: Promise<unknown> | undefined,
  ms: number,
  signal?: AbortSignal,
): Promise<boolean> {
  if (promise === undefined) return true;
  let giveUp: () => void = () => {};
  const late = new Promise<false>((resolve) => {
    giveUp = () => resolve(false);
  });
  const timer = setTimeout(giveUp, Math.max(0, ms));
  if (signal?.aborted === true) giveUp();
  else signal?.addEventListener("abort", giveUp);
  const ended = () => true;
  try {
    return await Promise.race([promise.then(ended, ended), late]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", giveUp);
  }
}
