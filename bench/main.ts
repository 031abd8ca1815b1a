// `npm run bench -- COMMAND`: results to stdout, progress to stderr, everything on loopback.
import { Command, InvalidArgumentError } from "commander";
import { adoptionBench } from "./adoption.ts";
import type { Bench } from "./bench.ts";
import { Children } from "./children.ts";
import { drainBench } from "./drain.ts";
import { edgeBench } from "./edge.ts";
import { generatorBench } from "./generator.ts";
import { localBench } from "./local.ts";
import { memoryBench, type RegistryKind } from "./memory.ts";
import { parkingBench } from "./parking.ts";
import { relayBench } from "./relay.ts";
import { stateBench } from "./state.ts";

const children = new Children();

for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const) {
  process.once(signal, () => void finish(128 + number));
}

let ending = false;

/** Ends what was started, then this process. The first status stands: a signal ends the children, and that the run. */
async function finish(status: number): Promise<void> {
  if (ending) return;
  ending = true;
  await children.stop();
  process.exit(status);
}

interface Output {
  readonly json?: boolean;
}

/** Runs a bench, prints its report, and ends what it started. The status is 1 when the report is not good. */
async function present<Options extends Output, Report extends object>(
  { run, describe, isGood }: Bench<Options, Report>,
  options: Options,
): Promise<void> {
  let status = 1;
  try {
    const report = await run(children, options);
    process.stdout.write(`${options.json === true ? JSON.stringify(report) : describe(report)}\n`);
    status = isGood(report) ? 0 : 1;
  } catch (error) {
    if (!ending)
      process.stderr.write(`The bench could not run: ${error instanceof Error ? error.message : String(error)}\n`);
  }
  await finish(status);
}

function positive(written: string): number {
  const number = Number(written);
  if (!(number > 0)) throw new InvalidArgumentError("Give a number above 0.");
  return number;
}

function whole(written: string): number {
  const number = Number(written);
  if (!Number.isSafeInteger(number) || number < 0) throw new InvalidArgumentError("Give a whole number from 0.");
  return number;
}

function atLeastOne(written: string): number {
  const number = whole(written);
  if (number === 0) throw new InvalidArgumentError("Give a whole number from 1.");
  return number;
}

function registries(written: string): RegistryKind[] {
  const kinds = written.split(",");
  const known = kinds.filter((kind) => kind === "valkey" || kind === "memory");
  if (known.length < kinds.length)
    throw new InvalidArgumentError('Give "valkey", "memory" or both, separated by a comma.');
  return known;
}

function wholes(written: string): number[] {
  const numbers = written.split(",").map(Number);
  if (!numbers.every((number) => Number.isSafeInteger(number) && number > 0)) {
    throw new InvalidArgumentError("Give whole numbers above 0, separated by commas.");
  }
  return numbers;
}

const program = new Command("bench").description("Measures Mooring beside its rivals, on this machine.");

function command<Options extends object, Report extends object>(name: string, bench: Bench<Options, Report>): Command {
  return program
    .command(name)
    .option("--json", "one JSON document instead of text")
    .action((options: Options & Output) => present(bench, options));
}

/** For a bench that measures in rounds. */
function withRounds(command: Command, seconds: number): Command {
  return command
    .option("--rounds <n>", "how often each subject is measured, in turn", whole, 5)
    .option("--seconds <n>", "how long each measurement takes", positive, seconds)
    .option("--warmup-seconds <n>", "how long calls are sent before each measurement", positive, 1)
    .option("--sessions <n>", "sessions that the calls are spread over", whole, 64);
}

/** For one that does so with few calls under way at a time, and with many. */
function withLevels(command: Command): Command {
  const name = "--connections <list>";
  return withRounds(command, 3).option(name, "calls under way at a time, separated by commas", wholes, [1, 16]);
}

withLevels(command("local", localBench))
  .description("one node against the SDK's own Node adapter, and Node's http alone as the floor")
  .option("--against <folder...>", "other Moorings beside this one, such as a clone of it before a change", []);

withRounds(command("edge", edgeBench), 5)
  .description("three nodes through Traefik against three SDK servers behind Traefik's sticky cookie")
  .option("--connections <n>", "calls under way at a time", whole, 16)
  .option("--calls <n>", "then so many calls through Mooring's edge, to count answers that are cut", whole, 0)
  .option("--limit-minutes <n>", "when those calls end at the latest", positive, 60)
  .option("--routers <list>", "instead: Traefik's own cost with so many pin routers, such as 3,100,1000", wholes, []);

withLevels(command("relay", relayBench)).description(
  "calls that reach another node than their session's owner, against calls that reach it",
);

withLevels(command("generator", generatorBench)).description(
  "the load generator itself against wrk, to show that it is not the bottleneck",
);

withLevels(command("state", stateBench))
  .description("calls that change a session's state against calls that change nothing, with Valkey behind the node")
  .option("--counted <n>", "then so many calls of each, to count the Redis commands that they cost", whole, 1_000);

command("adoption", adoptionBench)
  .description("what the first call costs that reaches another node after the death of its session's node")
  .option("--sessions <n>", "sessions that are adopted, one after another", atLeastOne, 1_000)
  .option("--counts <n>", "how often each one's state changed before", whole, 3)
  .option("--events <n>", "how many events are in each one's log", whole, 5);

command("memory", memoryBench)
  .description("what idle sessions with open streams cost one node, and whether keep-alives hold its event loop up")
  .option("--sessions <n>", "sessions that are opened, one after another, and held", atLeastOne, 10_000)
  .option("--warmup-sessions <n>", "sessions that are there before, which are not counted", atLeastOne, 100)
  .option("--per-second <n>", "how many are opened in a second at most", positive, 500)
  .option("--idle-seconds <n>", "how long they are idle; keep-alives come every 15 s", positive, 46)
  .option("--registries <list>", "where the node's registry is, in turn", registries, ["valkey", "memory"]);

command("parking", parkingBench)
  .description("what parking idle sessions gives back of a node's memory, and what the first call after it costs")
  .option("--sessions <n>", "sessions that are opened", atLeastOne, 10_000)
  .option("--used <n>", "how many of them are called all the time", atLeastOne, 100)
  .option("--back <n>", "how many of the parked ones are called again, one after another", atLeastOne, 1_000)
  .option("--park-after-seconds <n>", "when an idle session is parked: after all have been opened", positive, 90)
  .option("--settle-seconds <n>", "how long the node then goes on before its memory is looked at", positive, 30);

command("drain", drainBench)
  .description("what clients and the other nodes feel while one node of three hands its sessions over")
  .option("--sessions <n>", "sessions of the node", atLeastOne, 1_000)
  .option(
    "--calls-per-second <n>",
    "calls of all sessions together, whether or not those before are answered",
    positive,
    200,
  )
  .option("--calm-seconds <n>", "how long the same is measured before, with nothing that moves", positive, 5);

await program.parseAsync();
