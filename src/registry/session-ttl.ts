/** For how long a session is kept since its last use: 30 days, in milliseconds. */
export const sessionTtlMs = 30 * 24 * 60 * 60 * 1_000;

/** For how long a close is remembered, in milliseconds: by then every claim from before it has arrived, or never will. */
export const rememberedCloseMs = 60 * 60 * 1_000;

/** For how long it matters that the registry lost its entries, in milliseconds. */
export const lossMattersMs = 60 * 60 * 1_000;
