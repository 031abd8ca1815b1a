import { type AdminAnswer, ask, SilentError } from "./ask.ts";
import { refusalOf } from "./problem.ts";
import type { NodeView, NotTold, RestartWish, SessionList, SessionView, StateChange, ToldNode } from "./target.ts";

/** A node that is asked for what it holds. */
export interface Peer {
  readonly name: string;
  readonly tag: string;
  readonly pid: number;
  readonly url: string;
  readonly admin?: string | undefined;
  readonly since: number;
  /** Known to have ended: it is not asked. */
  readonly down?: boolean | undefined;
}

/** What a node answers about itself. One that doesn't answer in time is down; one without an admin listener can't tell. */
export async function askNode(peer: Peer): Promise<NodeView> {
  const answer = await askOwn(peer, "/api/nodes");
  const [view] = answer?.status === 200 ? (answer.body as readonly NodeView[]) : [];
  if (view !== undefined) return view;
  const { name, tag, pid, url, admin, since, down } = peer;
  const state = admin === undefined && down !== true ? "up" : "down";
  return { name, tag, state, sessions: 0, pid, url, admin: admin ?? null, since };
}

/** The sessions of several nodes, and who could not be asked. */
export async function askSessions(peers: readonly Peer[]): Promise<SessionList> {
  const sessions: SessionView[] = [];
  const silent = await askAll(peers, "/api/sessions", ({ status, body }) => {
    if (status === 200) sessions.push(...(body as SessionList).sessions);
  });
  return { sessions, silent };
}

/** Looks for one session on several nodes. */
export async function askForSession(
  peers: readonly Peer[],
  id: string,
): Promise<{ readonly found: SessionView | undefined; readonly silent: readonly string[] }> {
  let found: SessionView | undefined;
  const silent = await askAll(peers, `/api/sessions/${encodeURIComponent(id)}`, ({ status, body }) => {
    if (status === 200) found = body as SessionView;
  });
  return { found, silent };
}

/** Tells a node to take new sessions or not. */
export async function tellState(peer: Peer, state: "up" | "draining"): Promise<StateChange> {
  const told = await tellNode(peer, "drain", state === "draining" ? "POST" : "DELETE");
  if ("why" in told) return told;
  const { status, body } = told;
  if (status === 200) return { kind: "changed", node: body as ToldNode };
  if (status === 404) return { kind: "unknown" };
  return refusalOf(peer.name, told);
}

/** Asks a node to end, so that its supervisor starts it again. */
export async function tellRestart(peer: Peer): Promise<RestartWish> {
  const told = await tellNode(peer, "restart", "POST");
  if ("why" in told) return told;
  const { status, body } = told;
  if (status === 200) return { kind: "asked", node: body as ToldNode };
  if (status === 501) return { kind: "embedded" };
  // Another 404 comes from a version of Mooring that knows no restart.
  if (status === 404 && codeOf(body) === "unknown-node") return { kind: "unknown" };
  return refusalOf(peer.name, told);
}

/** What a node answered when it was told something, or why it could not be told. */
async function tellNode(
  { name, admin, down }: Peer,
  what: "drain" | "restart",
  method: "POST" | "DELETE",
): Promise<AdminAnswer | NotTold> {
  if (down === true) {
    const next =
      "mooring up starts a node that died when it runs with --restart; else end the cluster and start it anew.";
    return { kind: "not-told", why: "it is down.", next };
  }
  if (admin === undefined) {
    const next = "SIGTERM ends it, and hands its sessions over too.";
    return { kind: "not-told", why: "it has no admin listener (--admin off).", next };
  }
  try {
    return await ask(admin, `/api/nodes/${encodeURIComponent(name)}/${what}?scope=node`, { method });
  } catch (error) {
    if (!(error instanceof SilentError)) throw error;
    const next =
      "Should it be slow or frozen, it does what it was told when it runs again: look at mooring nodes before you try again.";
    return { kind: "not-told", why: `${error.message}.`, next };
  }
}

function codeOf(body: unknown): unknown {
  return (body as { code?: unknown } | null)?.code;
}

/** Asks all at once, and gives the names of those that don't answer. */
async function askAll(peers: readonly Peer[], path: string, take: (answer: AdminAnswer) => void): Promise<string[]> {
  const answers = await Promise.all(peers.map((peer) => askOwn(peer, path)));
  const silent: string[] = [];
  for (const [index, answer] of answers.entries()) {
    if (answer === undefined) silent.push((peers[index] as Peer).name);
    else take(answer);
  }
  return silent;
}

/** A node's own answer, without what it would learn from others; undefined when it gives none. */
async function askOwn({ admin, down }: Peer, path: string): Promise<AdminAnswer | undefined> {
  if (down === true || admin === undefined) return undefined;
  try {
    return await ask(admin, `${path}?scope=node`);
  } catch (error) {
    if (error instanceof SilentError) return undefined;
    throw error;
  }
}
