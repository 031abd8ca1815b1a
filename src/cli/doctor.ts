import { readFile } from "node:fs/promises";
import { validateHeaderName, validateHeaderValue } from "node:http";
import { rootCertificates } from "node:tls";
import { type Command, InvalidArgumentError } from "commander";
import type { Target } from "../doctor/endpoint.ts";
import { examine } from "../doctor/examine.ts";
import { reportText } from "../doctor/report-text.ts";
import { readDuration } from "../model/written-values.ts";
import { CommandError } from "./failure.ts";
import { endProcess, print, printJson } from "./output.ts";
import { onStopSignals } from "./stop-signals.ts";

type Header = readonly [name: string, value: string];

interface DoctorOptions {
  readonly idle?: number;
  readonly thorough?: boolean;
  readonly header?: readonly Header[];
  readonly ca?: string;
  readonly insecure?: boolean;
  readonly json?: boolean;
}

const idleMs = 20_000;
/** Longer than the timeouts that proxies and cloud balancers come with: 50, 60, 100 and 120 s. */
const thoroughIdleMs = 150_000;

/** `mooring doctor`: tries an endpoint as real clients do. */
export function registerDoctor(program: Command): void {
  program
    .command("doctor")
    .description("try an MCP endpoint as real clients do, and say what is wrong and how to mend it")
    .argument("<url>", "the endpoint, such as https://mcp.example.com/mcp", readUrl)
    .option("--idle <duration>", "for how long a silent stream has to stay open (default: 20s)", readIdle)
    .option("--thorough", "watch a silent stream for 150s, longer than most proxies' timeouts")
    .option("--header <name: value>", "send it with every request: an authorization; may be repeated", readHeader)
    .option("--ca <file>", "trust this certificate besides the usual ones (PEM)")
    .option("--insecure", "accept any certificate")
    .option("--json", "one JSON document")
    .action(async (url: URL, options: DoctorOptions) => {
      const { header = [], ca, insecure = false, json = false, thorough = false } = options;
      const target: Target = { url, headers: header, ca: await readCa(ca), insecure };
      const watch = options.idle ?? (thorough ? thoroughIdleMs : idleMs);
      const stop = new AbortController();
      onStopSignals(
        () => stop.abort(),
        () => process.exit(1),
      );
      if (!json && process.stderr.isTTY) {
        process.stderr.write(`Trying ${url.href} for about ${Math.round(watch / 1_000) + 2} s …\n`);
      }
      const report = await examine(target, { idleMs: watch, signal: stop.signal });
      if (json) printJson(report);
      else print(reportText(report));
      await endProcess(report.ok ? 0 : 1);
    });
}

function readUrl(written: string): URL {
  const url = URL.canParse(written) ? new URL(written) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw new InvalidArgumentError("Give an address that begins with http:// or https://.");
  }
  if (url.username !== "" || url.password !== "") {
    throw new InvalidArgumentError('Give user and password as a header: --header "Authorization: Basic …".');
  }
  url.hash = "";
  return url;
}

const shortestIdleMs = 100;
const longestIdleMs = 60 * 60_000;

function readIdle(written: string): number {
  const ms = readDuration(written, "--idle");
  if (ms >= shortestIdleMs && ms <= longestIdleMs) return ms;
  throw new InvalidArgumentError("Give a duration from 100ms to 1h, such as 20s.");
}

function readHeader(written: string, before: readonly Header[] = []): readonly Header[] {
  const colon = written.indexOf(":");
  const name = written.slice(0, colon).trim();
  const value = written.slice(colon + 1).trim();
  try {
    validateHeaderName(name);
    validateHeaderValue(name, value);
  } catch {
    // What was given may be a secret: it is not repeated.
    throw new InvalidArgumentError('Give a name and a value, such as "Authorization: Bearer …".');
  }
  return [...before, [name, value]];
}

/** The certificate, with those that are trusted anyway. */
async function readCa(file: string | undefined): Promise<readonly string[] | undefined> {
  if (file === undefined) return undefined;
  try {
    return [...rootCertificates, await readFile(file, "utf8")];
  } catch (error) {
    throw new CommandError("usage", `--ca: ${(error as Error).message}. Give a file in PEM.`, 2);
  }
}
