import { createRequire } from "node:module";
import { Command } from "commander";
import { registerClose } from "./close.ts";
import { registerConfig } from "./config.ts";
import { registerDoctor } from "./doctor.ts";
import { registerDrain } from "./drain.ts";
import { registerEdge } from "./edge.ts";
import { registerNodes } from "./nodes.ts";
import { registerRestart } from "./restart.ts";
import { registerServe } from "./serve.ts";
import { registerSessions } from "./sessions.ts";
import { registerUp } from "./up.ts";

const { version } = createRequire(import.meta.url)("../../package.json") as { version: string };

/** The whole command line. It throws where commander would end the process, so that all failures are told in one place. */
export function createProgram(): Command {
  const program = new Command("mooring")
    .description("Keeps stateful MCP sessions alive on a cluster.")
    .version(version)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .enablePositionalOptions();
  registerUp(program);
  registerServe(program);
  registerEdge(program);
  registerConfig(program);
  registerNodes(program);
  registerSessions(program);
  registerClose(program);
  registerDoctor(program);
  registerDrain(program);
  registerRestart(program);
  return program;
}
