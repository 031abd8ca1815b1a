import { renderTraefik, type TraefikOptions } from "../edge/traefik.ts";
import { traefikPaths, writeTraefik, writeTraefikView } from "../edge/traefik-files.ts";
import type { ClusterView } from "../edge/view.ts";
import type { Log } from "../ports/log.ts";
import { OwnedProcess, ProcessError } from "./owned-process.ts";
import { host } from "./ports.ts";
import type { Reaper } from "./reaper.ts";

export interface EdgeParts {
  /** Traefik's binary. */
  readonly path: string;
  readonly ports: { readonly web: number; readonly tls: number; readonly api: number };
  readonly folder: string;
  readonly certificate: { readonly certFile: string; readonly keyFile: string };
  readonly reaper: Reaper;
  readonly log: Log;
}

const startDeadlineMs = 20_000;
const answerDeadlineMs = 1_000;
/** Traefik takes up a change within 100 ms, and waits 500 ms after one before it takes up the next. */
const takeUpDeadlineMs = 5_000;
const lookEveryMs = 25;
/** How long open requests get when everything stops. */
export const finishSeconds = 5;

/** What Traefik tells of a router or a service. */
interface TraefikItem {
  readonly name: string;
  readonly status: string;
  readonly error?: readonly string[];
  readonly loadBalancer?: { readonly servers?: readonly { readonly url: string }[] };
}

/** The parts of a rendered file that are read back. */
interface WrittenFile {
  readonly http: {
    readonly routers?: Readonly<Record<string, unknown>>;
    readonly services?: Readonly<Record<string, Pick<TraefikItem, "loadBalancer">>>;
  };
}

/** The first difference between what was written and what Traefik tells. */
function differenceOf(
  files: readonly WrittenFile[],
  routers: readonly TraefikItem[],
  services: readonly TraefikItem[],
): string | undefined {
  const disabled = [...routers, ...services].find(({ status }) => status !== "enabled");
  if (disabled !== undefined)
    return `${disabled.name} is ${disabled.status}: ${disabled.error?.join(", ") ?? "no reason given"}`;
  for (const { http } of files) {
    for (const name of Object.keys(http.routers ?? {})) {
      // Entry points that differ in their defaults get a router each, named after both.
      const names = [`${name}@file`, `web-${name}@file`, `websecure-${name}@file`];
      if (!routers.some((router) => names.includes(router.name))) return `it has no router ${name}`;
    }
    for (const [name, { loadBalancer }] of Object.entries(http.services ?? {})) {
      const service = services.find((candidate) => candidate.name === `${name}@file`);
      if (service === undefined) return `it has no service ${name}`;
      const [wanted, shown] = [serversOf(loadBalancer), serversOf(service.loadBalancer)];
      if (wanted !== shown) return `the servers of ${name} are ${shown || "none"} instead of ${wanted || "none"}`;
    }
  }
  return undefined;
}

function serversOf(loadBalancer: TraefikItem["loadBalancer"]): string {
  const urls = loadBalancer?.servers?.map(({ url }) => url) ?? [];
  return urls.sort().join(", ");
}

/** Traefik before a local cluster: it shows the cluster's view, and it is checked that it took it up. */
export class EdgeProcess {
  readonly process: OwnedProcess;
  readonly #parts: EdgeParts;
  readonly #options: TraefikOptions;
  /** Views are written one after another. */
  #publishing: Promise<void> = Promise.resolve();
  #wanted: ClusterView;

  static async start(parts: EdgeParts, view: ClusterView): Promise<EdgeProcess> {
    const { path, ports, folder, certificate, reaper } = parts;
    const options: TraefikOptions = {
      web: `${host}:${ports.web}`,
      websecure: `${host}:${ports.tls}`,
      api: `${host}:${ports.api}`,
      directory: traefikPaths(folder).directory,
      certificate,
      acceptSeconds: 0,
      finishSeconds,
    };
    const paths = await writeTraefik(folder, renderTraefik(view, options));
    const traefik = await OwnedProcess.start({
      name: "traefik",
      command: path,
      args: [`--configFile=${paths.static}`],
      reaper,
      onLine: (line) => parts.log.warn("process-output", { process: "traefik", text: line }),
    });
    const edge = new EdgeProcess(traefik, parts, options, view);
    let difference: string | undefined;
    try {
      await traefik.ready(async () => {
        difference = await edge.#difference(view);
        return difference === undefined;
      }, startDeadlineMs);
    } catch (error) {
      traefik.kill();
      throw new ProcessError(`${(error as Error).message}${difference === undefined ? "" : `; ${difference}`}`, {
        cause: error,
      });
    }
    return edge;
  }

  private constructor(process: OwnedProcess, parts: EdgeParts, options: TraefikOptions, view: ClusterView) {
    this.process = process;
    this.#parts = parts;
    this.#options = options;
    this.#wanted = view;
  }

  /** Shows Traefik a new view, and waits until it has taken it up. A view that was overtaken by a newer one is left out. */
  publish(view: ClusterView): Promise<void> {
    this.#wanted = view;
    this.#publishing = this.#publishing.then(async () => {
      if (this.#wanted === view) await this.#show(view);
    });
    return this.#publishing;
  }

  async #show(view: ClusterView): Promise<void> {
    const { folder, log } = this.#parts;
    const up = view.nodes.filter(({ state }) => state === "up").map(({ name }) => name);
    try {
      await writeTraefikView(folder, renderTraefik(view, this.#options).view);
    } catch (error) {
      log.error("edge-refused", { up, reason: (error as Error).message });
      return;
    }
    const deadline = performance.now() + takeUpDeadlineMs;
    let difference = await this.#difference(view);
    while (difference !== undefined && performance.now() < deadline && this.process.running && this.#wanted === view) {
      await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
      difference = await this.#difference(view);
    }
    if (difference === undefined) log.info("edge-published", { up });
    else if (this.#wanted === view && this.process.running) log.error("edge-refused", { up, reason: difference });
  }

  /** How what Traefik does differs from the view, or undefined: a router that it drops is told nowhere else. */
  async #difference(view: ClusterView): Promise<string | undefined> {
    const routers = await this.#read("routers");
    const services = await this.#read("services");
    if (routers === undefined || services === undefined) return "its API does not answer";
    const { base, view: shown } = renderTraefik(view, this.#options);
    return differenceOf([base, shown] as unknown as readonly WrittenFile[], routers, services);
  }

  async #read(kind: "routers" | "services"): Promise<readonly TraefikItem[] | undefined> {
    try {
      const signal = AbortSignal.timeout(answerDeadlineMs);
      const response = await fetch(`http://${host}:${this.#parts.ports.api}/api/http/${kind}?per_page=10000`, {
        signal,
      });
      return response.ok ? ((await response.json()) as TraefikItem[]) : undefined;
    } catch {
      return undefined;
    }
  }
}
