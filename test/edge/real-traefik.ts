import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { request } from "undici";
import { readBack } from "../../src/edge/read-back.ts";
import { renderTraefik, type TraefikOptions } from "../../src/edge/traefik.ts";
import { fileText, traefikPaths, WatchedFile, writeTraefik } from "../../src/edge/traefik-files.ts";
import type { ClusterView } from "../../src/edge/view.ts";
import { findTraefik } from "../../src/local/binaries.ts";
import { freePort } from "../support/free-port.ts";
import { eventually } from "./eventually.ts";
import { type RunningProgram, runProgram } from "./run-program.ts";

/** A router as Traefik's API tells it. */
interface RouterState {
  readonly name: string;
  readonly status: string;
  readonly provider: string;
  readonly rule: string;
  readonly priority: number;
  readonly service: string;
  readonly entryPoints: readonly string[];
}

/** A real Traefik with rendered files, on free ports of loopback. */
export interface RealTraefik {
  /** Without a path: `http://127.0.0.1:<port>`. */
  readonly http: string;
  readonly https: string;
  /** The address of its API. */
  readonly api: string;
  /** What it reads. */
  readonly options: TraefikOptions;
  /** The file that it takes the view from. */
  readonly viewFile: string;
  /** What it logged so far, from the level of warnings on. */
  log(): string;
  routers(): Promise<RouterState[]>;
  /** For each server of a service: "UP" or "DOWN". */
  serverStatus(service: string): Promise<Record<string, string>>;
  /** Writes another view, and resolves when it is in effect. */
  show(view: ClusterView): Promise<void>;
  stop(): Promise<void>;
}

export async function startTraefik(
  view: ClusterView,
  extra: Pick<TraefikOptions, "certificate"> & Partial<Pick<TraefikOptions, "affinity">> = {},
): Promise<RealTraefik> {
  const folder = await mkdtemp(join(tmpdir(), "mooring-traefik-"));
  const [web, websecure, api] = [await freePort(), await freePort(), await freePort()];
  const options: TraefikOptions = {
    web: `127.0.0.1:${web}`,
    websecure: `127.0.0.1:${websecure}`,
    api: `127.0.0.1:${api}`,
    directory: traefikPaths(folder).directory,
    affinity: ["session-id", "cookie"],
    acceptSeconds: 0,
    finishSeconds: 1,
    ...extra,
  };
  const paths = await writeTraefik(folder, renderTraefik(view, options));
  const traefik = await runTraefik(paths.static);
  const stop = async (): Promise<void> => {
    await traefik.stop();
    await rm(folder, { recursive: true, force: true });
  };

  async function read(path: string): Promise<unknown> {
    const answer = await request(`http://${options.api}/api/${path}`);
    return await answer.body.json();
  }

  const routers = async (): Promise<RouterState[]> => (await read("http/routers?per_page=1000")) as RouterState[];

  async function inEffect(shown: ClusterView): Promise<void> {
    const rendered = renderTraefik(shown, options);
    let confirmed = 0;
    let difference: string | undefined;
    await eventually("the view is in effect", async () => {
      if (traefik.ended()) return true;
      difference = await readBack(`http://${options.api}`, "file", [rendered.base, rendered.view]);
      // Traefik exchanges its entry points one after another: the API's may be a moment ahead of the others.
      confirmed = difference === undefined ? confirmed + 1 : 0;
      return confirmed === 2;
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${difference}`);
    });
    if (traefik.ended()) throw new Error("Traefik ended by itself");
  }

  try {
    await inEffect(view);
  } catch (error) {
    await stop();
    throw new Error(`${(error as Error).message}; Traefik said: ${traefik.log()}`);
  }
  return {
    http: `http://127.0.0.1:${web}`,
    https: `https://127.0.0.1:${websecure}`,
    api: `http://${options.api}`,
    options,
    viewFile: paths.view,
    log: traefik.log,
    routers,
    async serverStatus(service) {
      return ((await read(`http/services/${service}`)) as { serverStatus: Record<string, string> }).serverStatus;
    },
    async show(next) {
      await new WatchedFile(paths.view).write(fileText(renderTraefik(next, options).view));
      await inEffect(next);
    },
    stop,
  };
}

/** A Traefik process with whatever files it is given. */
export async function runTraefik(configFile: string): Promise<RunningProgram> {
  const { path } = await findTraefik();
  return await runProgram(path, [`--configFile=${configFile}`]);
}
