/** For how long a session is kept since its last use: 30 days, in milliseconds. */
export const sessionTtlMs = 30 * 24 * 60 * 60 * 1_000;
