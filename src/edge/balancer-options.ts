import type { Affinity } from "../model/settings.ts";

/** Where HAProxy or nginx listens, and what it pins by. */
export interface BalancerOptions {
  /** The address for plain HTTP, such as `:80` or `10.0.0.1:80`; without it there is none. */
  readonly web?: string | undefined;
  /** The address for HTTPS, such as `:443`; without it there is none. It needs a certificate. */
  readonly websecure?: string | undefined;
  /** Where the certificate's files stand on the balancer's host. For HAProxy the first holds the key too. */
  readonly certificate?: { readonly certFile: string; readonly keyFile?: string | undefined } | undefined;
  /** What clients are pinned by. */
  readonly affinity: readonly Affinity[];
}

/** A node's name as a comment shows it: in one line, whatever it is. */
export function commentOf(name: string): string {
  return JSON.stringify(name);
}

/** A node's address, as balancers write it: host and port. */
export function hostAndPort(url: string): {
  readonly address: string;
  readonly secure: boolean;
  readonly host: string;
} {
  const { hostname, port, protocol } = new URL(url);
  const secure = protocol === "https:";
  return { address: `${hostname}:${port || (secure ? "443" : "80")}`, secure, host: hostname };
}
