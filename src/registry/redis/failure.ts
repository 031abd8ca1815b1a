import { ErrorReply } from "redis";
import { RegistryError } from "../../ports/registry.ts";
import type { RedisTarget } from "./redis-url.ts";

/** Error replies that say that the server can't serve for now, though it answers. */
const passing = /^(LOADING|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|MOVED|ASK)\b/;

/** Error replies that mean wrong credentials. */
const credentialReplies = /^(WRONGPASS|NOAUTH|NOPERM)\b|invalid username-password|invalid password/i;

/** What a server without cluster mode answers to a cluster's client. */
const noCluster = /cluster support disabled/;

/** What a member of a cluster answers to a client that takes it for the only server. */
const inCluster = /^(MOVED|ASK)\b/;

/** No Sentinel told where the primary is. The last one's reason is the cause. */
export class SentinelsFailedError extends Error {
  override readonly name = "SentinelsFailedError";
}

/** A Sentinel watches no primary of the URL's name. */
export class UnknownPrimaryNameError extends Error {
  override readonly name = "UnknownPrimaryNameError";
  constructor(primary: string) {
    super(`it watches no primary named "${primary}"`);
  }
}

/** What a failure on the way to Redis was, in words: sockets give codes, and sometimes no message at all. */
export function describe(error: unknown): string {
  if (error instanceof AggregateError && error.errors.length > 0) return describe(error.errors[0]);
  if (!(error instanceof Error)) return String(error);
  return error.message === "" ? (codeOf(error) ?? error.name) : error.message;
}

/** What somebody who reads of this failure can do. */
export function nextStep(error: unknown, target: { readonly tls: boolean }): string {
  if (error instanceof SentinelsFailedError) return nextStep(error.cause, target);
  if (error instanceof UnknownPrimaryNameError) return "Check the primary's name in the URL, behind the Sentinels.";
  const text = describe(error);
  const code = codeOf(error) ?? "";
  if (/^NOAUTH\b/.test(text)) {
    return "It asks for a password: put it into the URL, redis://user:password@host.";
  }
  if (/^NOPERM\b/.test(text)) {
    return "Give the URL's user the rights to read, write, run scripts, publish and subscribe (ACL SETUSER).";
  }
  if (credentialReplies.test(text)) {
    return "Check user name and password in the URL (percent-encoded where they hold special characters).";
  }
  if (noCluster.test(text)) return "Use redis:// in place of redis+cluster://.";
  if (inCluster.test(text)) return "It belongs to a Redis Cluster: use redis+cluster:// in place of redis://.";
  if (/^CLUSTERDOWN\b/.test(text)) return "See CLUSTER INFO on one of its nodes.";
  if (/^MISCONF|^READONLY|^OOM/.test(text)) return "It can't write now: see its own log.";
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") return "Use a host name that its certificate names.";
  if (isCertificateProblem(error)) {
    return "Let this process trust the certificate's CA: NODE_EXTRA_CA_CERTS=<file of the CA>.";
  }
  if (code === "EPROTO" || /wrong version number|packet length too long/.test(text)) {
    return "It seems not to speak TLS on this port: use redis:// in place of rediss://.";
  }
  if (code === "ENOTFOUND" || code === "EAI_AGAIN") return "Check the host name in the URL.";
  if (code === "ECONNREFUSED") return "Check that it runs, and host and port in the URL.";
  if (target.tls) {
    return "Check that it runs, that it speaks TLS on this port (else use redis:// in place of rediss://), and firewalls.";
  }
  if (code === "ECONNRESET" || /closed/i.test(text)) {
    return "Check that it runs. If it expects TLS on this port, use rediss:// in place of redis://.";
  }
  return "Check that it runs and that a firewall lets this host reach it.";
}

/** Whether trying again without a change of settings is pointless. */
export function isPermanent(error: unknown): boolean {
  if (error instanceof SentinelsFailedError) return isPermanent(error.cause);
  if (!isReply(error)) return isCertificateProblem(error);
  return [credentialReplies, noCluster, inCluster].some((pattern) => pattern.test(error.message));
}

/** Whether the server answered the command, with an error. */
export function isReply(error: unknown): error is Error {
  return error instanceof ErrorReply;
}

/** Whether a write reached a server that has become a replica. */
export function isDemoted(error: unknown): boolean {
  // Before version 7 a script's error stands inside a sentence about the script.
  return isReply(error) && /^READONLY\b|-READONLY\b/.test(error.message);
}

/** Whether a member of a cluster says that another one has the key. */
export function isRedirect(error: unknown): boolean {
  return isReply(error) && inCluster.test(error.message);
}

/** Turns whatever a command failed with into the port's error. */
export function toRegistryError(error: unknown, doing: string, target: RedisTarget): RegistryError {
  if (error instanceof RegistryError) return error;
  if (isReply(error) && !passing.test(error.message)) {
    const text = `Redis (${target.shown}) refused to ${doing}: ${error.message}. ${nextStep(error, target)}`;
    return new RegistryError("refused", text, { cause: error });
  }
  const text = `Redis (${target.shown}) did not ${doing}: ${describe(error)}. ${nextStep(error, target)}`;
  return new RegistryError("unavailable", text, { cause: error });
}

function codeOf(error: unknown): string | undefined {
  if (error instanceof AggregateError && error.errors.length > 0) return codeOf(error.errors[0]);
  if (error instanceof Error && "code" in error && typeof error.code === "string") return error.code;
  return undefined;
}

function isCertificateProblem(error: unknown): boolean {
  const code = codeOf(error) ?? "";
  return /CERT|^UNABLE_TO_(VERIFY|GET_ISSUER)|^DEPTH_ZERO/.test(code);
}
