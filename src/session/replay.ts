import type { Journal } from "../ports/registry.ts";
import type { JsonRpcMessage } from "./json-rpc.ts";
import type { Ask } from "./own-requests.ts";

/** How long a fresh server may take to answer each request of the journal, in milliseconds. */
const answerMs = 5_000;

export interface ReplayParts {
  readonly ask: Ask;
  notify(method: string): void;
  /** What the client had asked for, the fresh server refuses. */
  refused(error: Error): void;
}

/**
 * Tells a fresh server what its client had told the one before it, and gives its result of `initialize`. Rejects when the
 * server does not answer, or does not take the client; a level or a subscription that it refuses is only reported: the
 * rest of the session can go on.
 */
export async function replay(
  journal: Journal,
  { ask, notify, refused }: ReplayParts,
): Promise<NonNullable<JsonRpcMessage["result"]>> {
  const { params } = JSON.parse(journal.initialize) as JsonRpcMessage;
  const { result, error } = await ask("initialize", params, answerMs);
  if (result === undefined) throw new Error(`The fresh server refused the client's initialize: ${error?.message}`);
  notify("notifications/initialized");
  const again: [string, JsonRpcMessage["params"]][] = [];
  if (journal.level !== undefined) again.push(["logging/setLevel", JSON.parse(journal.level)]);
  for (const uri of journal.subscriptions ?? []) again.push(["resources/subscribe", { uri }]);
  await Promise.all(
    again.map(async ([method, its]) => {
      const { error } = await ask(method, its, answerMs);
      if (error !== undefined) refused(new Error(`The fresh server refused ${method}: ${error.message}`));
    }),
  );
  return result;
}
