import { Publisher } from "../edge/publisher.ts";
import { readBack } from "../edge/read-back.ts";
import { renderTraefik, type TraefikOptions } from "../edge/traefik.ts";
import { traefikPaths, WatchedFile, writeTraefik } from "../edge/traefik-files.ts";
import type { TraefikFile } from "../edge/traefik-view.ts";
import type { ClusterView } from "../edge/view.ts";
import type { Affinity } from "../model/settings.ts";
import type { Log } from "../ports/log.ts";
import { OwnedProcess, ProcessError } from "./owned-process.ts";
import { host } from "./ports.ts";
import type { Reaper } from "./reaper.ts";

export interface EdgeParts {
  /** Traefik's binary. */
  readonly path: string;
  readonly ports: { readonly web: number; readonly tls: number; readonly api: number };
  readonly folder: string;
  readonly affinity: readonly Affinity[];
  readonly certificate: { readonly certFile: string; readonly keyFile: string };
  readonly reaper: Reaper;
  readonly log: Log;
}

const startDeadlineMs = 20_000;
/** Traefik takes up a change within 100 ms, and waits 250 ms after one before it takes up the next. */
const takeUpMs = 5_000;
/** How long open requests get when everything stops. */
export const finishSeconds = 5;

/** Traefik before a local cluster: it shows the cluster's view, and it is checked that it took it up. */
export class EdgeProcess {
  readonly process: OwnedProcess;
  readonly #publisher: Publisher;

  static async start(parts: EdgeParts, view: ClusterView): Promise<EdgeProcess> {
    const { path, ports, folder, certificate, reaper } = parts;
    const options: TraefikOptions = {
      web: `${host}:${ports.web}`,
      websecure: `${host}:${ports.tls}`,
      api: `${host}:${ports.api}`,
      directory: traefikPaths(folder).directory,
      certificate,
      affinity: parts.affinity,
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
    const api = `http://${options.api}`;
    const { base } = renderTraefik(view, options);
    const differenceFrom = (shown: TraefikFile) => readBack(api, "file", [base, shown]);
    let difference: string | undefined;
    try {
      await traefik.ready(async () => {
        difference = await differenceFrom(renderTraefik(view, options).view);
        return difference === undefined;
      }, startDeadlineMs);
    } catch (error) {
      traefik.kill();
      throw new ProcessError(`${(error as Error).message}${difference === undefined ? "" : `; ${difference}`}`, {
        cause: error,
      });
    }
    const file = new WatchedFile(paths.view);
    const publisher = new Publisher({
      render: (shown) => renderTraefik(shown, options).view,
      deliver: (text) => file.write(text),
      delivered: (text) => file.says(text),
      difference: differenceFrom,
      takeUpMs,
      log: parts.log,
    });
    void traefik.exited.then(() => publisher.stop());
    return new EdgeProcess(traefik, publisher);
  }

  private constructor(process: OwnedProcess, publisher: Publisher) {
    this.process = process;
    this.#publisher = publisher;
  }

  /** Shows Traefik a view, and resolves when it has taken it up, or its time is over. */
  publish(view: ClusterView): Promise<void> {
    return this.#publisher.publish(view);
  }
}
