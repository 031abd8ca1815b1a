/** What a client asks of a session. */
export type Ask =
  /** Adds one to session state; takes no time, or so long. */
  | { readonly kind: "count"; readonly call: string; readonly ms: number }
  /** Has an effect that can't be taken back. */
  | { readonly kind: "append"; readonly call: string; readonly ms: number }
  /** Asks for the answer of a call whose stream broke. */
  | { readonly kind: "resume"; readonly call: string }
  /** The notifications behind this one; waits a little for the next. */
  | { readonly kind: "listen"; readonly after: number }
  | { readonly kind: "close" };

export interface Request {
  readonly session: string;
  readonly ask: Ask;
}

/** What an owner answers. */
export type Served = Exclude<Ask, { readonly kind: "close" }>;

/** Whether it begins a call, which waits where the session is about to leave. */
export function beginsCall({ kind }: Served): boolean {
  return kind === "count" || kind === "append";
}

/** The tag of a session's home. */
export function homeOf(session: string): string {
  return session.slice(0, session.indexOf("."));
}

/** How an HTTP exchange ended. */
export type Answer =
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "done" }
  | { readonly kind: "events"; readonly events: readonly { readonly sequence: number; readonly json: string }[] }
  | { readonly kind: "closed" }
  /** The call may or may not have run, or its state could not be kept: a result with `isError: true`, or a 502. */
  | { readonly kind: "may-have-run" }
  | { readonly kind: "refused"; readonly reason: string }
  /** The connection ended without a word. */
  | { readonly kind: "broken" };
