import { join } from "node:path/posix";
import { renderTraefik, type TraefikOptions } from "../edge/traefik.ts";
import { addressesOf, type ConfigFile, nodesOf, problemOf, type WrittenConfig, wrongUsage } from "./config-options.ts";
import { settingOf } from "./node-options.ts";

/** The options of `mooring config traefik`, read. */
export interface WrittenTraefik extends WrittenConfig {
  readonly api: string;
  readonly folder: string;
  readonly feed?: string;
}

/** The files of Traefik, in the order in which it reads them. */
export function traefikFiles(written: WrittenTraefik): ConfigFile[] {
  const { cert, key, feed } = written;
  const problem =
    feed !== undefined && written.node === undefined
      ? problemOf({ ...written, node: [{ name: "any", url: feed }] })
      : problemOf(written);
  if (problem !== undefined) throw wrongUsage(`config traefik: ${problem}`);
  if ((cert === undefined) !== (key === undefined)) {
    throw wrongUsage("config traefik: --cert and --key belong together: give both or neither.");
  }
  const directory = join(written.folder, "dynamic");
  const options: TraefikOptions = {
    ...addressesOf(written, { web: ":80", websecure: ":443" }),
    api: written.api,
    directory,
    affinity: settingOf(written, "affinity"),
    feed,
    certificate: certificateOf(written),
  };
  const rendered = renderTraefik({ nodes: nodesOf(written) }, options);
  const files: ConfigFile[] = [
    {
      path: join(written.folder, "traefik.yml"),
      about: ["what Traefik reads when it starts:", `  traefik --configFile=${join(written.folder, "traefik.yml")}`],
      content: rendered.static,
    },
    {
      path: join(directory, "base.yml"),
      about: ["what stays as it is", ...certificateNotes(options)],
      content: rendered.base,
    },
  ];
  if (feed === undefined) {
    files.push({
      path: join(directory, "view.yml"),
      about: [
        "the nodes; a change is taken up while Traefik runs",
        `mooring edge --file ${join(directory, "view.yml")} --redis … keeps it up to date. By hand:`,
        "Replace the file whole (write another one, outside this folder, and rename it):",
        "Traefik drops all routes of a file that it meets empty.",
      ],
      content: rendered.view,
    });
  }
  return files;
}

function certificateOf({ cert, key }: WrittenTraefik): TraefikOptions["certificate"] {
  return cert === undefined || key === undefined ? undefined : { certFile: cert, keyFile: key };
}

function certificateNotes({ websecure, certificate }: TraefikOptions): string[] {
  if (websecure === undefined) {
    return [
      "There is no HTTPS here, and the sticky cookie is Secure: most clients send it over HTTPS only.",
      "End HTTPS here (--entrypoint websecure=:443), or in what stands before this Traefik.",
    ];
  }
  return certificate === undefined
    ? ["Without --cert and --key Traefik shows a certificate that it made itself, which no client trusts."]
    : [];
}
