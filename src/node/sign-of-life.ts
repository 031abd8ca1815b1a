import type { NodeRecord } from "../ports/registry.ts";

/** Names the incarnation that answers `/livez`, on the serving port and on the admin listener. */
export const incarnationHeader = "Mooring-Incarnation";

const answerDeadlineMs = 1_000;

/**
 * Whether a node lives: some address of it answers, and as this very incarnation. Another process may have got its
 * port, and an address on loopback may be another machine's.
 */
export async function answersAsItself({ url, admin, incarnation }: NodeRecord): Promise<boolean> {
  const addresses = admin === undefined ? [url] : [url, admin];
  const answers = await Promise.all(addresses.map(incarnationAt));
  return answers.includes(incarnation);
}

async function incarnationAt(address: string): Promise<string | undefined> {
  try {
    const response = await fetch(new URL("/livez", address), {
      headers: { connection: "close" },
      redirect: "manual",
      signal: AbortSignal.timeout(answerDeadlineMs),
    });
    await response.body?.cancel();
    return response.headers.get(incarnationHeader) ?? undefined;
  } catch {
    return undefined;
  }
}
