import { incarnationHeader } from "../node/sign-of-life.ts";
import type { Log } from "../ports/log.ts";
import { parseAddress } from "./address.ts";
import { type AdminListener, startAdminServer } from "./admin-server.ts";
import { NodeApi } from "./node-api.ts";
import type { AdminTarget } from "./target.ts";

export interface AdminOptions {
  /** `host:port`, `port`, or "off". */
  readonly address: string;
  readonly allowHost: readonly string[];
  readonly log: Log;
}

/**
 * Starts the admin listener of a node: health, metrics, and the operators' API. Gives undefined where it is "off".
 *
 * @throws SettingsError for a malformed address, ListenError for one that can't be taken
 */
export async function startAdmin(target: AdminTarget, options: AdminOptions): Promise<AdminListener | undefined> {
  if (options.address === "off") return undefined;
  const text = (status: number, body: string) => ({ status, contentType: "text/plain; charset=utf-8", body });
  return await startAdminServer({
    api: new NodeApi(target),
    title: `Mooring node ${target.record().name}`,
    address: parseAddress(options.address, "--admin"),
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
