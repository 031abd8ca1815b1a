/** Why there was no answer at all. */
export type FailureCode =
  | "refused"
  | "unknown-host"
  | "timeout"
  | "reset"
  | "certificate"
  | "not-tls"
  | "not-http"
  | "stopped"
  | "other";

export interface Failure {
  readonly code: FailureCode;
  readonly message: string;
}

const codes: Readonly<Record<string, FailureCode>> = {
  ECONNREFUSED: "refused",
  ENOTFOUND: "unknown-host",
  EAI_AGAIN: "unknown-host",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "timeout",
  ENETUNREACH: "timeout",
  ECONNRESET: "reset",
  EPIPE: "reset",
  EPROTO: "not-tls",
  ABORT_ERR: "stopped",
};

/** OpenSSL's words for a certificate that a client does not trust. */
const certificateCode = /CERT|^UNABLE_TO_|^SELF_SIGNED|^DEPTH_ZERO|^HOSTNAME_MISMATCH|^ERR_TLS_CERT/;

/** Says what an error of Node's http, tls or net means. */
export function failureOf(error: unknown): Failure {
  const { code = "", message = "", errors } = (error ?? {}) as { code?: string; message?: string; errors?: Error[] };
  const words = message || errors?.map((one) => one.message).join("; ") || code || String(error);
  if (certificateCode.test(code)) return { code: "certificate", message: certificateWords(code, words) };
  if (code.startsWith("HPE_")) return { code: "not-http", message: `no HTTP answer (${words})` };
  if (code.startsWith("ERR_SSL")) return { code: "not-tls", message: `no TLS there (${code})` };
  switch (codes[code]) {
    case "refused":
      return { code: "refused", message: `connection refused (${words})` };
    case "unknown-host":
      return { code: "unknown-host", message: `the host name is not known (${words})` };
    case "timeout":
      return { code: "timeout", message: `no way to the host (${words})` };
    case "reset":
      return { code: "reset", message: `the connection was closed without an answer (${words})` };
    case "not-tls":
      return { code: "not-tls", message: "no TLS there (the handshake failed)" };
    case "stopped":
      return stopped;
    default:
      return { code: "other", message: words };
  }
}

export const stopped: Failure = { code: "stopped", message: "stopped before there was an answer" };

/** A deadline of ours. */
export function late(ms: number): Failure {
  return { code: "timeout", message: `no answer within ${ms / 1_000} s` };
}

function certificateWords(code: string, message: string): string {
  switch (code) {
    case "CERT_HAS_EXPIRED":
      return "the certificate has expired";
    case "CERT_NOT_YET_VALID":
      return "the certificate is not valid yet";
    case "ERR_TLS_CERT_ALTNAME_INVALID":
      return `the certificate is for another name (${message.replace(/^Hostname\/IP does not match certificate's altnames: /, "")})`;
    case "DEPTH_ZERO_SELF_SIGNED_CERT":
      return "the certificate signs itself, so no client trusts it";
    case "SELF_SIGNED_CERT_IN_CHAIN":
      return "the certificate is signed by an authority that this machine does not trust";
    case "UNABLE_TO_VERIFY_LEAF_SIGNATURE":
    case "UNABLE_TO_GET_ISSUER_CERT":
    case "UNABLE_TO_GET_ISSUER_CERT_LOCALLY":
      return "the certificate's issuer is not known: it is not trusted here, or the chain lacks the intermediate certificate";
    default:
      return `the certificate is not trusted (${code})`;
  }
}
