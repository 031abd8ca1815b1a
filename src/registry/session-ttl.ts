import { maxSessionIdleMs } from "../model/settings.ts";

/** For how long a session is kept since its last use at most: 30 days, in milliseconds. */
export const longestTtlMs = maxSessionIdleMs;

/** How often the TTLs of sessions in use are renewed at least: milliseconds. */
const renewEveryMs = 60 * 60 * 1_000;

/**
 * For how long the registry keeps sessions that their nodes end after so long an idle time, in milliseconds. So much
 * longer that neither a use which was not told to the registry yet, nor a registry that is away for a few minutes, makes
 * a session end too early.
 */
export function sessionTtl(idleMs: number): number {
  const margin = Math.min(2 * renewEveryMs, Math.max(idleMs / 2, 10 * 60 * 1_000));
  return Math.min(longestTtlMs, Math.round(idleMs + margin));
}

/** How often TTLs of this length are renewed, in milliseconds: some attempts may fail, or come late. */
export function renewalInterval(ttlMs: number): number {
  return Math.min(renewEveryMs, ttlMs / 4);
}

/** For how long a close is remembered, in milliseconds: by then every claim from before it has arrived, or never will. */
export const rememberedCloseMs = 60 * 60 * 1_000;

/** For how long it matters that the registry lost its entries, in milliseconds. */
export const lossMattersMs = 60 * 60 * 1_000;
