import { CookieJar, parseSetCookie } from "../cookies.ts";
import type { Endpoint } from "../endpoint.ts";
import type { Tries } from "../judge/affinity.ts";
import type { Seen } from "../seen.ts";
import { type PostAnswer, Session } from "../session.ts";

/** Enough that a balancer which sends every second one elsewhere is found out 4,000 times of 4,001. */
const cookielessTries = 12;
const cookieTries = 6;
const atOnce = 4;
/** More sessions than this are not opened to find one on another node. */
const mostMoreSessions = 2;

/** Many requests of one session without cookies: first one after another, then several at once. */
export async function tryCookieless(session: Session, yardstick: boolean): Promise<Tries> {
  return await tryOften(() => tryOnce(session, yardstick), cookielessTries);
}

/** The same for a session with a jar. */
export async function tryWithCookies(session: Session, yardstick: boolean): Promise<Tries> {
  return await tryOften(() => tryOnce(session, yardstick), cookieTries);
}

/** Requests that carry the cookies of another session, or invented ones: a balancer that knows no better misroutes them. */
export async function tryForeignCookies(session: Session, foreign: string, yardstick: boolean): Promise<Tries> {
  const invented = foreign
    .split("; ")
    .map((pair) => `${pair.slice(0, pair.indexOf("="))}=0123456789abcdef`)
    .join("; ");
  const answers: PostAnswer[] = [];
  for (const cookie of [foreign, foreign, foreign, invented]) {
    answers.push(await tryOnce(session, yardstick, { cookie }));
  }
  return { answers, nodes: nodesOf(answers) };
}

/** The cookies that a session was given, as one header; undefined where there were none. */
function cookiesOf(session: Session): string | undefined {
  const cookies = session.initialized.setCookies.map(parseSetCookie).filter((cookie) => cookie !== undefined);
  return cookies.length === 0 ? undefined : cookies.map(({ name, value }) => `${name}=${value}`).join("; ");
}

/** Cookies that lead elsewhere than the session's own. Opens more sessions where those that there are have the same. */
export async function foreignCookies(
  session: Session,
  others: readonly Session[],
  more: () => Promise<Session | undefined>,
): Promise<string | undefined> {
  const own = cookiesOf(session);
  if (own === undefined) return undefined;
  const differs = (other: Session) => {
    const cookies = cookiesOf(other);
    return cookies === own ? undefined : cookies;
  };
  for (const other of others) {
    const found = differs(other);
    if (found !== undefined) return found;
  }
  for (let opened = 0; opened < mostMoreSessions; opened += 1) {
    const other = await more();
    const found = other && differs(other);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Begins a session that keeps cookies, with the jar that it keeps them in. */
export async function beginWithJar(endpoint: Endpoint): Promise<{ session: Session | undefined; jar: CookieJar }> {
  const jar = new CookieJar();
  const session = await Session.begin(endpoint, jar);
  return { session: session instanceof Session ? session : undefined, jar };
}

async function tryOften(send: () => Promise<PostAnswer>, tries: number): Promise<Tries> {
  const answers: PostAnswer[] = [];
  for (let sent = 0; sent < atOnce; sent += 1) answers.push(await send());
  while (answers.length < tries) {
    const next = Math.min(atOnce, tries - answers.length);
    answers.push(...(await Promise.all(Array.from({ length: next }, send))));
  }
  return { answers, nodes: nodesOf(answers) };
}

function tryOnce(session: Session, yardstick: boolean, headers: Record<string, string> = {}): Promise<PostAnswer> {
  return yardstick ? session.call("where", {}, { headers }) : session.ask("ping", {}, { headers });
}

function nodesOf(answers: readonly Seen[]): string[] {
  return answers.flatMap((seen) => {
    const found = seen.kind === "answer" ? seen.message?.result?.structuredContent : undefined;
    const { node } = (found ?? {}) as { node?: unknown };
    return typeof node === "string" ? [node] : [];
  });
}
