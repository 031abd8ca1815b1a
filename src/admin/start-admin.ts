import { incarnationHeader } from "../node/sign-of-life.ts";
import type { Log } from "../ports/log.ts";
import { type Address, parseAddress } from "./address.ts";
import { type AdminListener, startAdminServer } from "./admin-server.ts";
import { NodeApi } from "./node-api.ts";
import type { AdminTarget } from "./target.ts";

export interface AdminOptions {
  /** Undefined for none. */
  readonly address: Address | undefined;
  readonly allowHost: readonly string[];
  readonly log: Log;
}

/** Reads the setting `admin`; undefined for none. @throws SettingsError for a malformed address */
export function readAdmin(written: string): Address | undefined {
  return written === "off" ? undefined : parseAddress(written, "--admin");
}

/**
 * Starts the admin listener of a node: health, metrics, and the operators' API. Gives undefined where there is none.
 *
 * @throws ListenError for an address that can't be taken
 */
export async function startAdmin(target: AdminTarget, options: AdminOptions): Promise<AdminListener | undefined> {
  const { address } = options;
  if (address === undefined) return undefined;
  const text = (status: number, body: string) => ({ status, contentType: "text/plain; charset=utf-8", body });
  return await startAdminServer({
    api: new NodeApi(target),
    title: `Mooring node ${target.record().name}`,
    address,
    option: "--admin",
    allowHost: options.allowHost,
    log: options.log,
    plain: {
      "/livez": () => ({ ...text(200, "alive\n"), headers: { [incarnationHeader]: target.record().incarnation } }),
      "/readyz": () => {
        const state = target.joined() ? target.record().state : "starting";
        return state === "up" ? text(200, "ready\n") : text(503, `${state}\n`);
      },
      "/edge/traefik": () => target.feed(),
      "/metrics": async () => ({ status: 200, ...(await target.metrics.text()) }),
    },
  });
}
