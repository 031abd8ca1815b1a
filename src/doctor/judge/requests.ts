import { failed, type Judgement, notRun, ok, warning } from "../check.ts";
import { describe, describeAll, isAnswered, type Seen } from "../seen.ts";

/** What requests with an invented session id were answered, by their method. */
export interface UnknownSession {
  readonly post: Seen;
  readonly get: Seen;
}

export function judgeUnknownSession({ post, get }: UnknownSession): Judgement {
  const all = [post, get];
  for (const seen of all) {
    if (seen.kind === "failure" || seen.status !== 404) {
      const why =
        "404 is what tells a client to begin a new session (MCP, Session Management). With anything else it gives up, or repeats the request.";
      // A GET may be refused for other reasons by a server that offers no stream.
      if (seen === get && get.kind === "answer" && (get.status === 405 || get.status === 406)) continue;
      return failed("refusal", `An invented session id: ${describeAll(all)}.`, why);
    }
  }
  const { message } = post.kind === "answer" ? post : { message: undefined };
  if (message?.error === undefined) {
    return warning(
      "refusal",
      `An invented session id: ${describe(post)}, without a JSON-RPC error.`,
      "Nobody can tell a session that ended from an address that is wrong, neither a client nor the person who reads its log.",
    );
  }
  const { data } = message.error;
  const reason = (data as { reason?: unknown } | undefined)?.reason;
  return ok(
    `404, ${message.error.code}${typeof reason === "string" ? `, reason ${reason}` : ""}: ${message.error.message}`,
  );
}

export function judgeLargeBody(seen: Seen): Judgement {
  if (isAnswered(seen)) return ok();
  return failed(
    "body-size",
    `A POST of 64 KiB: ${describe(seen)}.`,
    "Calls with a file, a picture or a long text as argument fail.",
  );
}

export function judgeTwoSessionIds(seen: Seen): Judgement {
  if (seen.kind === "answer" && seen.status >= 400 && seen.status < 500) return ok(`${seen.status}`);
  return warning(
    "two-session-ids",
    `A request with two Mcp-Session-Id headers: ${describe(seen)}.`,
    "A balancer may route by one of them while the server serves the other.",
  );
}

export interface OriginFacts {
  /** A request with the Origin of a web page that has nothing to do with the endpoint. */
  readonly origin: Seen;
  /** The same with that page's Host; only asked of this machine's own addresses. */
  readonly host: Seen | undefined;
  readonly local: boolean;
}

export function judgeOrigin({ origin, host, local }: OriginFacts): Judgement {
  const served = [origin, host].filter((seen) => seen !== undefined).filter(isAnswered);
  if (served.length === 0) {
    if (origin.kind === "answer" && origin.status === 403) return ok("403");
    return ok(describe(origin));
  }
  const what = isAnswered(origin) ? "the Origin of a stranger's page" : "a stranger's Host";
  const seen = `A request with ${what} was answered.`;
  if (local) {
    const why =
      "Any web page that a person opens on this machine can use the server, by DNS rebinding (MCP, Security Warning).";
    return failed("origin", seen, why);
  }
  return warning(
    "origin",
    seen,
    "A web page can use the server in the name of whoever opens it, unless it asks for a token.",
  );
}

export interface ForgedFacts {
  readonly plain: Seen;
  readonly forged: Seen;
  /** Headers of an answer that belong between nodes. */
  readonly leaked: readonly string[];
}

export function judgeForgedHeaders({ plain, forged, leaked }: ForgedFacts): Judgement {
  if (leaked.length > 0) {
    return failed(
      "forged-headers",
      `Answers carry ${leaked.join(", ")}.`,
      "These headers are for nodes among themselves.",
    );
  }
  if (!isAnswered(plain)) return notRun("the request without such headers was not answered either");
  if (describe(plain) === describe(forged)) return ok();
  return failed(
    "forged-headers",
    `With Mooring-… headers: ${describe(forged)}; without: ${describe(plain)}.`,
    "Whoever sends them can pass for a node or for the balancer.",
  );
}
