import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");

/** Collects all garbage now, so that what is still held can be told from what merely waits to be collected. */
export const collectGarbage = runInNewContext("gc") as () => void;
