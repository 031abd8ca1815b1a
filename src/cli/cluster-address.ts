import { type AdminAnswer, ask, SilentError } from "../admin/ask.ts";
import { stateFolder, workIn } from "../local/folders.ts";
import { runningClusters } from "../local/state.ts";
import { CommandError } from "./failure.ts";

/** The option of each command that operates a running cluster. */
export const urlOption = ["--url <admin>", "admin address of any node (default: the local cluster's console)"] as const;

/** Longer than a node waits for the others. */
const answerDeadlineMs = 10_000;

type Method = "GET" | "POST" | "DELETE";

/** Asks the cluster that is meant: the one named by `--url`, else the newest local one. */
export async function askCluster(url: string | undefined, path: string, method: Method = "GET"): Promise<unknown> {
  if (url === undefined) return bodyOf((await askLocal(path, method)).answer);
  const answer = await askNamed(url, path, method);
  // Whatever an admin listener refuses, it says what to do next.
  if (answer.status !== 200 && (answer.body as { next?: unknown } | null)?.next === undefined) {
    throw new CommandError(
      "no-admin",
      `${url} is no admin address: it answers ${path} with ${answer.status}. Give a node's admin address, which its ` +
        "ready line tells, or the console's of mooring up.",
    );
  }
  return bodyOf(answer);
}

/** The admin address of the cluster that is meant, for whoever asks it more than once: one that answers. */
export async function findCluster(url: string | undefined): Promise<string> {
  return url ?? (await askLocal("/api/nodes", "GET")).admin;
}

function bodyOf(answer: AdminAnswer): unknown {
  if (answer.status === 200) return answer.body;
  const {
    code = "failed",
    message = `status ${answer.status}`,
    next = "",
  } = (answer.body ?? {}) as Record<string, string>;
  throw new CommandError(code, `${message} ${next}`.trim());
}

async function askNamed(url: string, path: string, method: Method): Promise<AdminAnswer> {
  if (!URL.canParse(url) || !/^https?:$/.test(new URL(url).protocol)) {
    throw new CommandError("usage", `--url is "${url}". Give an address such as http://127.0.0.1:9401.`, 2);
  }
  try {
    return await ask(url, path, { method, deadlineMs: answerDeadlineMs });
  } catch (error) {
    if (!(error instanceof SilentError)) throw error;
    throw new CommandError(
      "no-answer",
      `${error.message}. Give the admin address of a node that runs; its ready line tells it.`,
    );
  }
}

/** A cluster that was killed may have left its file, and another process may have got its pid. */
async function askLocal(path: string, method: Method): Promise<{ answer: AdminAnswer; admin: string }> {
  const tried: string[] = [];
  for (const { console } of await workIn(stateFolder(), "XDG_STATE_HOME", runningClusters())) {
    if (console === undefined) continue;
    try {
      return { answer: await ask(console, path, { method, deadlineMs: answerDeadlineMs }), admin: console };
    } catch (error) {
      if (!(error instanceof SilentError)) throw error;
      tried.push(error.message);
    }
  }
  const why = tried.length === 0 ? "No local cluster runs." : `No local cluster answers: ${tried.join("; ")}.`;
  throw new CommandError("no-cluster", `${why} Start one with mooring up, or name a node's admin address with --url.`);
}
