import { type Command, Option } from "commander";
import { stringify } from "yaml";
import { settingSpecs } from "../model/settings.ts";
import { haproxyFiles, nginxFiles } from "./config-balancer.ts";
import {
  type ConfigFile,
  collect,
  readEntryPoint,
  readNode,
  type WrittenConfig,
  wrongUsage,
} from "./config-options.ts";
import { traefikFiles, type WrittenTraefik } from "./config-traefik.ts";
import { addNodeOptions } from "./node-options.ts";

/** What can be configured so far, by the name of its subcommand. */
const targets = ["traefik", "haproxy", "nginx"];

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
  const both =
    "where it listens: web (HTTP) and websecure (HTTPS); once for each (default: web=:80 and websecure=:443)";
  addCommon(config.command("traefik"), both)
    .description("the files of Traefik 3.7: a session at its node, round robin for all else")
    .option("--key <file>", "the certificate's key")
    .option("--api <address>", "where ping and the state of the routers can be read; keep it private", "127.0.0.1:8081")
    .option("--folder <path>", "where the files will stand", "/etc/traefik")
    .option("--feed <url>", "ask for the nodes there, as a node's http://<admin>/edge/traefik, in place of a file")
    .action((written: WrittenTraefik) => show(traefikFiles(written), written));
  const secure = "where it listens: web (HTTP) and websecure (HTTPS, with --cert); once for each (default: web=:80)";
  addCommon(config.command("haproxy"), secure)
    .description("the file of HAProxy 2.6 and later; --cert names a file that holds the key too")
    .option("--file <path>", "where the file will stand", "/etc/haproxy/haproxy.cfg")
    .action((written: WrittenConfig & { file: string }) => show(haproxyFiles(written), written));
  addCommon(config.command("nginx"), secure)
    .description("a file for nginx 1.22 and later")
    .option("--key <file>", "the certificate's key")
    .option("--file <path>", "where the file will stand", "/etc/nginx/conf.d/mooring.conf")
    .action((written: WrittenConfig & { file: string }) => show(nginxFiles(written), written));
}

function addCommon(command: Command, entryPoints: string): Command {
  const others = settingSpecs.map(({ flag }) => flag).filter((flag) => flag !== "affinity");
  return addNodeOptions(command, others)
    .addOption(
      new Option("--node <name=url>", "a node and where it serves; once for each node").argParser(collect(readNode)),
    )
    .addOption(new Option("--entrypoint <name=address>", entryPoints).argParser(collect(readEntryPoint)))
    .option("--cert <file>", "the certificate for HTTPS; where its file will stand on the balancer's host")
    .option("--json", "one JSON document");
}

function show(files: readonly ConfigFile[], { json }: WrittenConfig): void {
  process.stdout.write(json ? `${JSON.stringify({ files })}\n` : toText(files));
}

/** One document for each file; the comment at its head says where it goes. */
function toText(files: readonly ConfigFile[]): string {
  const documents = files.map(({ path, about, content }) => {
    const head = [`File: ${path}`, ...about].map((line) => `# ${line}\n`).join("");
    // What stands in several places is written out in each: references (&a1, *a1) are hard to read and to change.
    return (
      head +
      (typeof content === "string"
        ? `\n${content}`
        : stringify(content, { aliasDuplicateObjects: false, lineWidth: 0 }))
    );
  });
  return documents.join("---\n");
}
