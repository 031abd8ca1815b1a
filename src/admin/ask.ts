/** How long another node's admin listener may take. */
const answerDeadlineMs = 2_000;

/** What an admin listener answered. */
export interface AdminAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** An admin listener did not answer: refused, or over the deadline. */
export class SilentError extends Error {
  override readonly name = "SilentError";
}

/** Asks an admin listener. Rejects with a {@link SilentError} when it does not answer in time, or not with JSON. */
export async function ask(
  admin: string,
  path: string,
  { method = "GET", deadlineMs = answerDeadlineMs }: { method?: "GET" | "POST" | "DELETE"; deadlineMs?: number } = {},
): Promise<AdminAnswer> {
  try {
    const response = await fetch(new URL(path, admin), {
      method,
      // A connection kept open would hold back the end of the process that asked.
      headers: { accept: "application/json", connection: "close" },
      signal: AbortSignal.timeout(deadlineMs),
    });
    return { status: response.status, body: await response.json() };
  } catch (error) {
    const timedOut = error instanceof Error && error.name === "TimeoutError";
    const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
    // Some other server, or a page of a proxy.
    const isOther = error instanceof SyntaxError;
    const reason = timedOut ? `no answer within ${deadlineMs} ms` : isOther ? "what it says is no JSON" : cause;
    throw new SilentError(`${admin} does not answer: ${reason}`, { cause: error });
  }
}
