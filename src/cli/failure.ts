import { CommanderError } from "commander";
import { ListenError } from "../admin/listen.ts";
import { SettingsError } from "../model/settings-error.ts";
import { NameTakenError } from "../node/name-taken.ts";
import { RegistryError } from "../ports/registry.ts";

/** A command that can't do its work: what failed, why, and the next step, in one line. */
export class CommandError extends Error {
  override readonly name = "CommandError";
  /** For programs: stays the same when the message changes. */
  readonly code: string;
  /** 1: failed. 2: wrong usage. */
  readonly exitCode: number;
  constructor(code: string, message: string, exitCode = 1, options?: { cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.exitCode = exitCode;
  }
}

/** A failure as it is told. */
export interface Told {
  readonly code: string;
  readonly message: string;
  readonly exitCode: number;
  /** Where in the code it came from; only for failures that nobody expected. */
  readonly stack?: string | undefined;
}

/** What to do about wrong usage, by commander's code. */
const nextSteps: Readonly<Record<string, string>> = {
  "commander.unknownCommand": ". mooring --help lists the commands.",
  "commander.unknownOption": ". The command's --help lists its options.",
  "commander.missingArgument": ". The command's --help shows what it takes.",
};

/** Says of anything thrown what a person needs to hear. */
export function tell(error: unknown): Told {
  if (error instanceof CommandError) {
    const cause = error.cause instanceof Error ? error.cause.stack : undefined;
    return { code: error.code, message: error.message, exitCode: error.exitCode, stack: cause };
  }
  if (error instanceof CommanderError) {
    // Without a command the help has said it all.
    if (error.code === "commander.help") return { code: "usage", message: "", exitCode: 2 };
    const said = error.message.replace(/^error: /, "").replaceAll("\n", " ");
    const next = nextSteps[error.code] ?? "";
    return { code: "usage", message: said + next, exitCode: error.exitCode === 0 ? 0 : 2 };
  }
  if (error instanceof SettingsError) return { code: "settings", message: error.message, exitCode: 2 };
  if (error instanceof ListenError) return { code: error.code, message: error.message, exitCode: 1 };
  if (error instanceof NameTakenError) return { code: error.code, message: error.message, exitCode: 1 };
  if (error instanceof RegistryError) return { code: `registry-${error.code}`, message: error.message, exitCode: 1 };
  if (error instanceof Error) {
    // Errors with a name of their own are made for people; the others are bugs, or the person's own code.
    const code = error.name === "Error" || error.name === "TypeError" ? "failed" : kebab(error.name);
    return { code, message: error.message, exitCode: 1, stack: code === "failed" ? error.stack : undefined };
  }
  return { code: "failed", message: String(error), exitCode: 1 };
}

/** `BinaryError` is `binary`. */
function kebab(name: string): string {
  return name
    .replace(/Error$/, "")
    .replace(/(?<=[a-z])(?=[A-Z])/g, "-")
    .toLowerCase();
}
