import { parseAddress } from "../admin/address.ts";
import { WatchedFile } from "../edge/traefik-files.ts";
import { leasesUntilGone } from "../edge/view-of.ts";
import { readDuration } from "../model/written-values.ts";
import { CommandError } from "./failure.ts";
import { type Options, settingOf } from "./node-options.ts";

/** The options of `mooring edge`, as commander gives them. */
export interface EdgeOptions extends Options {
  readonly file?: string;
  readonly listen?: string;
  readonly redis?: string;
  readonly traefikApi?: string;
  readonly entrypoint?: readonly string[];
  readonly renew?: string;
  readonly goneAfter?: string;
  readonly json?: boolean;
}

const usualRenewMs = 500;
const leastRenewMs = 50;

/** The options, read and checked. */
export function readEdgePlan(options: EdgeOptions) {
  const redis = options.redis ?? (process.env.MOORING_REDIS || undefined);
  if (redis === undefined)
    throw wrongUsage("no registry is named. Give --redis, such as --redis redis://10.0.0.5:6379.");
  if (options.file === undefined && options.listen === undefined) {
    throw wrongUsage(
      "it is not said how Traefik gets the view. Give --file with a file in a folder that Traefik watches, or --listen.",
    );
  }
  if (options.file !== undefined && !/\.ya?ml$/.test(options.file)) {
    throw wrongUsage(`--file is "${options.file}", and Traefik reads only files that end in .yml or .yaml.`);
  }
  const { traefikApi } = options;
  if (traefikApi !== undefined && !/^https?:\/\/[^/]+\/?$/.test(traefikApi)) {
    throw wrongUsage(
      `--traefik-api is "${traefikApi}". Give an address without a path, such as http://127.0.0.1:8081.`,
    );
  }
  const lease = settingOf(options, "lease");
  const renew = options.renew === undefined ? usualRenewMs : readDuration(options.renew, "--renew");
  if (renew < leastRenewMs) throw wrongUsage(`--renew is ${renew} ms. Give at least ${leastRenewMs}ms.`);
  const goneAfter =
    options.goneAfter === undefined ? lease * leasesUntilGone : readDuration(options.goneAfter, "--gone-after");
  if (goneAfter < lease) {
    throw wrongUsage(
      `--gone-after (${goneAfter} ms) is shorter than --lease (${lease} ms): the sessions of a node that only restarts would go to another. Raise --gone-after.`,
    );
  }
  return {
    redis,
    file: options.file === undefined ? undefined : new WatchedFile(options.file),
    listen: options.listen === undefined ? undefined : parseAddress(options.listen, "--listen"),
    traefikApi,
    entryPoints: options.entrypoint,
    namespace: settingOf(options, "namespace"),
    affinity: settingOf(options, "affinity"),
    allowHost: settingOf(options, "allowHost"),
    lease,
    renew,
    goneAfter,
  };
}

function wrongUsage(problem: string): CommandError {
  return new CommandError("usage", `edge: ${problem}`, 2);
}
