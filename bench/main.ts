// `npm run bench -- COMMAND`: results to stdout, progress to stderr, everything on loopback.
import { Command, InvalidArgumentError } from "commander";
import { type AdoptionOptions, benchAdoption, describeAdoption, isAdoptionGood } from "./adoption.ts";
import { Children } from "./children.ts";
import { benchDrain, type DrainOptions, describeDrain, isDrainGood } from "./drain.ts";
import { benchEdge, describeEdge, type EdgeOptions, isEdgeGood } from "./edge.ts";
import { benchGenerator, describeGenerator, type GeneratorOptions } from "./generator.ts";
import { benchLocal, describeLocal, type LocalOptions, type LocalReport } from "./local.ts";
import { benchMemory, describeMemory, isMemoryGood, type MemoryOptions, type RegistryKind } from "./memory.ts";
import { benchParking, describeParking, isParkingGood, type ParkingOptions } from "./parking.ts";
import { benchRelay, describeRelay, type RelayOptions, type RelayReport } from "./relay.ts";
import { rightlyAnswered } from "./report.ts";
import { benchState, describeState, isStateGood, type StateOptions } from "./state.ts";

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

/** Runs a bench, prints its report, and ends what it started. The status is 1 when answers to Mooring's calls failed. */
async function present<R extends object>(
  run: () => Promise<R>,
  describe: (report: R) => string,
  good: (report: R) => boolean,
  { json }: Output,
): Promise<void> {
  let status = 1;
  try {
    const report = await run();
    process.stdout.write(`${json === true ? JSON.stringify(report) : describe(report)}\n`);
    status = good(report) ? 0 : 1;
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

/** A session is not in two calls at once here, so there have to be at least as many of them as calls under way. */
function checkSessions({ sessions }: { sessions: number }, connections: readonly number[]): void {
  const most = Math.max(...connections);
  if (sessions < most) {
    program.error(
      `error: --sessions (${sessions}) must be at least --connections (${most}). Raise the one or lower the other.`,
    );
  }
}

/** Three of the pins are those of the nodes that serve. */
function checkRouters({ routers, rounds, calls }: EdgeOptions): void {
  if (routers.length === 0) return;
  if (Math.min(...routers) < 3) program.error("error: --routers must be at least 3, one for each node that serves.");
  if (rounds === 0) program.error("error: --routers needs --rounds of at least 1.");
  if (calls > 0) program.error("error: --routers and --calls can't be measured in one run. Leave one out.");
}

function withCommonOptions(command: Command, rounds: number, seconds: number): Command {
  return command
    .option("--rounds <n>", "how often each subject is measured, in turn", whole, rounds)
    .option("--seconds <n>", "how long each measurement takes", positive, seconds)
    .option("--warmup-seconds <n>", "how long calls are sent before each measurement", positive, 1)
    .option("--sessions <n>", "sessions that the calls are spread over", whole, 64)
    .option("--json", "one JSON document instead of text");
}

const program = new Command("bench").description("Measures Mooring beside its rivals, on this machine.");

withCommonOptions(program.command("local"), 5, 3)
  .description("one node against the SDK's own Node adapter, and Node's http alone as the floor")
  .option("--connections <list>", "calls under way at a time, separated by commas", wholes, [1, 16])
  .option("--against <folder...>", "other Moorings beside this one, such as a clone of it before a change", [])
  .action((options: LocalOptions & Output) => {
    checkSessions(options, options.connections);
    const good = (report: LocalReport) => report.comparisons.every(rightlyAnswered);
    return present(() => benchLocal(children, options), describeLocal, good, options);
  });

withCommonOptions(program.command("edge"), 5, 5)
  .description("three nodes through Traefik against three SDK servers behind Traefik's sticky cookie")
  .option("--connections <n>", "calls under way at a time", whole, 16)
  .option("--calls <n>", "then so many calls through Mooring's edge, to count answers that are cut", whole, 0)
  .option("--limit-minutes <n>", "when those calls end at the latest", positive, 60)
  .option("--routers <list>", "instead: Traefik's own cost with so many pin routers, such as 3,100,1000", wholes, [])
  .action((options: EdgeOptions & Output) => {
    checkSessions(options, [options.connections]);
    checkRouters(options);
    return present(() => benchEdge(children, options), describeEdge, isEdgeGood, options);
  });

withCommonOptions(program.command("relay"), 5, 3)
  .description("calls that reach another node than their session's owner, against calls that reach it")
  .option("--connections <list>", "calls under way at a time, separated by commas", wholes, [1, 16])
  .action((options: RelayOptions & Output) => {
    checkSessions(options, options.connections);
    const good = (report: RelayReport) => report.comparisons.every(rightlyAnswered);
    return present(() => benchRelay(children, options), describeRelay, good, options);
  });

withCommonOptions(program.command("generator"), 5, 3)
  .description("the load generator itself against wrk, to show that it is not the bottleneck")
  .option("--connections <list>", "calls under way at a time, separated by commas", wholes, [1, 16])
  .action((options: GeneratorOptions & Output) => {
    checkSessions(options, options.connections);
    return present(
      () => benchGenerator(children, options),
      describeGenerator,
      () => true,
      options,
    );
  });

withCommonOptions(program.command("state"), 5, 3)
  .description("calls that change a session's state against calls that change nothing, with Valkey behind the node")
  .option("--connections <list>", "calls under way at a time, separated by commas", wholes, [1, 16])
  .option("--counted <n>", "then so many calls of each, to count the Redis commands that they cost", whole, 1_000)
  .action((options: StateOptions & Output) => {
    checkSessions(options, options.connections);
    return present(() => benchState(children, options), describeState, isStateGood, options);
  });

program
  .command("adoption")
  .description("what the first call costs that reaches another node after the death of its session's node")
  .option("--sessions <n>", "sessions that are adopted, one after another", atLeastOne, 1_000)
  .option("--counts <n>", "how often each one's state changed before", whole, 3)
  .option("--events <n>", "how many events are in each one's log", whole, 5)
  .option("--json", "one JSON document instead of text")
  .action((options: AdoptionOptions & Output) =>
    present(() => benchAdoption(children, options), describeAdoption, isAdoptionGood, options),
  );

program
  .command("memory")
  .description("what idle sessions with open streams cost one node, and whether keep-alives hold its event loop up")
  .option("--sessions <n>", "sessions that are opened, one after another, and held", atLeastOne, 10_000)
  .option("--warmup-sessions <n>", "sessions that are there before, which are not counted", atLeastOne, 100)
  .option("--per-second <n>", "how many are opened in a second at most", positive, 500)
  .option("--idle-seconds <n>", "how long they are idle; keep-alives come every 15 s", positive, 46)
  .option("--registries <list>", "where the node's registry is, in turn", registries, ["valkey", "memory"])
  .option("--json", "one JSON document instead of text")
  .action((options: MemoryOptions & Output) =>
    present(() => benchMemory(children, options), describeMemory, isMemoryGood, options),
  );

program
  .command("parking")
  .description("what parking idle sessions gives back of a node's memory, and what the first call after it costs")
  .option("--sessions <n>", "sessions that are opened", atLeastOne, 10_000)
  .option("--used <n>", "how many of them are called all the time", atLeastOne, 100)
  .option("--back <n>", "how many of the parked ones are called again, one after another", atLeastOne, 1_000)
  .option("--park-after-seconds <n>", "when an idle session is parked: after all have been opened", positive, 90)
  .option("--settle-seconds <n>", "how long the node then goes on before its memory is looked at", positive, 30)
  .option("--json", "one JSON document instead of text")
  .action((options: ParkingOptions & Output) => {
    if (options.used >= options.sessions) program.error("error: --used must be less than --sessions.");
    return present(() => benchParking(children, options), describeParking, isParkingGood, options);
  });

program
  .command("drain")
  .description("what clients and the other nodes feel while one node of three hands its sessions over")
  .option("--sessions <n>", "sessions of the node", atLeastOne, 1_000)
  .option(
    "--calls-per-second <n>",
    "calls of all sessions together, whether or not those before are answered",
    positive,
    200,
  )
  .option("--calm-seconds <n>", "how long the same is measured before, with nothing that moves", positive, 5)
  .option("--json", "one JSON document instead of text")
  .action((options: DrainOptions & Output) =>
    present(() => benchDrain(children, options), describeDrain, isDrainGood, options),
  );

await program.parseAsync();
