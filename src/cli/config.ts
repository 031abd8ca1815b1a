import { join } from "node:path/posix";
import { type Command, InvalidArgumentError } from "commander";
import { stringify } from "yaml";
import { renderTraefik, type TraefikOptions } from "../edge/traefik.ts";
import type { EdgeNode } from "../edge/view.ts";
import { tagOf } from "../model/tag.ts";
import { CommandError } from "./failure.ts";

/** What can be configured so far, by the name of its subcommand. */
const targets = ["traefik"];

/** A file to put on a person's own host. */
interface ConfigFile {
  readonly path: string;
  /** What it is, as the comment at its head says. */
  readonly about: readonly string[];
  readonly content: Readonly<Record<string, unknown>>;
}

/** `mooring config`: prints configuration for hosts that are not started by `mooring up`. */
export function registerConfig(program: Command): void {
  const config = program
    .command("config")
    .description("print ready-to-use configuration for your own hosts")
    .argument("[target]", `what to configure: ${targets.join(", ")}`)
    .allowUnknownOption()
    .allowExcessArguments()
    .action((target: string | undefined) => {
      const asked = target === undefined ? "it is not said what to configure" : `there is no target "${target}"`;
      throw wrongUsage(`config: ${asked}. There is: ${targets.join(", ")}. Try: mooring config traefik --help`);
    });
  config
    .command("traefik")
    .description("the three files of Traefik 3.7: sticky for /mcp, round robin for all else")
    .option("--node <name=url>", "a node and where it serves; once for each node", collect(readNode))
    .option(
      "--entrypoint <name=address>",
      "where Traefik listens: web (HTTP) and websecure (HTTPS); once for each (default: web=:80 and websecure=:443)",
      collect(readEntryPoint),
    )
    .option("--cert <file>", "the certificate for HTTPS; where its file will stand on Traefik's host")
    .option("--key <file>", "the certificate's key")
    .option("--api <address>", "where ping and the state of the routers can be read; keep it private", "127.0.0.1:8081")
    .option("--folder <path>", "where the files will stand", "/etc/traefik")
    .option("--json", "one JSON document")
    .action((written: WrittenTraefik) => {
      const problem = problemOf(written);
      if (problem !== undefined) {
        throw wrongUsage(`config traefik: ${problem}`);
      }
      const files = traefikFiles(written);
      process.stdout.write(written.json ? `${JSON.stringify({ files })}\n` : toYaml(files));
    });
}

function wrongUsage(message: string): CommandError {
  return new CommandError("usage", message, 2);
}

interface WrittenNode {
  readonly name: string;
  readonly url: string;
}

interface WrittenEntryPoint {
  readonly name: "web" | "websecure";
  readonly address: string;
}

/** The options of `mooring config traefik`, read. */
interface WrittenTraefik {
  readonly node?: readonly WrittenNode[];
  readonly entrypoint?: readonly WrittenEntryPoint[];
  readonly cert?: string;
  readonly key?: string;
  readonly api: string;
  readonly folder: string;
  readonly json?: boolean;
}

function collect<T>(read: (written: string) => T): (written: string, before?: readonly T[]) => readonly T[] {
  return (written, before = []) => [...before, read(written)];
}

function readNode(written: string): WrittenNode {
  const [, name, address] = /^([^=\s]+)=(\S+)$/.exec(written) ?? [];
  const url = address === undefined || !URL.canParse(address) ? undefined : new URL(address);
  if (name === undefined || url === undefined || !/^https?:$/.test(url.protocol) || url.href !== `${url.origin}/`) {
    throw new InvalidArgumentError("Give a name and an address without a path, such as node-1=http://10.0.0.7:3001.");
  }
  return { name, url: url.origin };
}

function readEntryPoint(written: string): WrittenEntryPoint {
  const [, name, address] = /^(web|websecure)=(\S*:\d+)$/.exec(written) ?? [];
  if (name === undefined || address === undefined) {
    throw new InvalidArgumentError("Give web or websecure and an address, such as web=:80 or websecure=10.0.0.1:443.");
  }
  return { name: name as WrittenEntryPoint["name"], address };
}

function problemOf({ node = [], entrypoint = [], cert, key }: WrittenTraefik): string | undefined {
  if (node.length === 0) {
    return "no node is given. Give one or more, such as --node node-1=http://10.0.0.7:3001.";
  }
  const twice = twiceIn(node.map(({ name }) => name)) ?? twiceIn(node.map(({ url }) => url));
  if (twice !== undefined) {
    return `--node gives ${twice} twice. Each node needs a name and an address of its own.`;
  }
  const entryTwice = twiceIn(entrypoint.map(({ name }) => name));
  if (entryTwice !== undefined) {
    return `--entrypoint gives ${entryTwice} twice. Give each entry point once.`;
  }
  if ((cert === undefined) !== (key === undefined)) {
    return "--cert and --key belong together: give both or neither.";
  }
  return undefined;
}

function twiceIn(values: readonly string[]): string | undefined {
  return values.find((value, index) => values.indexOf(value) !== index);
}

/** The files of Traefik, in the order in which it reads them. */
function traefikFiles(written: WrittenTraefik): ConfigFile[] {
  const { node = [], entrypoint } = written;
  const addresses =
    entrypoint === undefined
      ? { web: ":80", websecure: ":443" }
      : Object.fromEntries(entrypoint.map(({ name, address }) => [name, address]));
  const directory = join(written.folder, "dynamic");
  const options: TraefikOptions = { ...addresses, api: written.api, directory, certificate: certificateOf(written) };
  const nodes = node.map(({ name, url }): EdgeNode => ({ name, tag: tagOf(name), url, state: "up" }));
  const rendered = renderTraefik({ nodes }, options);
  return [
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
    {
      path: join(directory, "view.yml"),
      about: [
        "the nodes; a change is taken up while Traefik runs",
        "Replace the file whole (write another one, outside this folder, and rename it):",
        "Traefik drops all routes of a file that it meets empty.",
      ],
      content: rendered.view,
    },
  ];
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

/** One YAML document for each file; the comment at its head says where it goes. */
function toYaml(files: readonly ConfigFile[]): string {
  const documents = files.map(({ path, about, content }) => {
    const head = [`File: ${path}`, ...about].map((line) => `# ${line}\n`).join("");
    // What stands in several places is written out in each: references (&a1, *a1) are hard to read and to change.
    return head + stringify(content, { aliasDuplicateObjects: false, lineWidth: 0 });
  });
  return documents.join("---\n");
}
