/** Waits until a condition holds, looking again and again; rejects with its last failure when it does not in time. */
export async function eventually<T>(look: () => T | Promise<T>, withinMs = 10_000, everyMs = 20): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() > deadline) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
