import { isIPv6 } from "node:net";
import { networkInterfaces } from "node:os";
import { SettingsError } from "../model/settings-error.ts";

/** Where something listens. */
export interface Address {
  readonly host: string;
  /** 0: any free port. */
  readonly port: number;
}

/** Reads `host:port`, `:port` (all interfaces) or `port` (loopback only). */
export function parseAddress(written: string, name: string): Address {
  const [, bracketed, plain, port] = /^(?:(?:\[([^\]]+)\]|([^:[\]]*)):)?(\d{1,5})$/.exec(written) ?? [];
  if (port === undefined || Number(port) > 65_535) {
    throw new SettingsError(`${name} is "${written}". Give host:port, such as 127.0.0.1:9401, or a port alone.`);
  }
  const host = bracketed ?? plain ?? "127.0.0.1";
  return { host: host === "" ? "0.0.0.0" : host, port: Number(port) };
}

/** Whether only this machine reaches what listens on the host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}

/** The address as others are told it. "All interfaces" is no address to call: then it is the first one of this machine. */
export function urlOf({ host, port }: Address): string {
  const reachable = host === "0.0.0.0" || host === "::" ? firstExternalAddress() : host;
  return `http://${isIPv6(reachable) ? `[${reachable}]` : reachable}:${port}`;
}

function firstExternalAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    const external = addresses?.find(({ family, internal }) => family === "IPv4" && !internal);
    if (external !== undefined) return external.address;
  }
  return "127.0.0.1";
}
