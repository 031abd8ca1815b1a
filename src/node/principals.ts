import type { Principal } from "../ports/registry.ts";

/** Whether two are one: issuer and subject are. Nobody is only the same as nobody. */
export function isSame(one: Principal | undefined, other: Principal | undefined): boolean {
  return one?.issuer === other?.issuer && one?.subject === other?.subject;
}
