import { spawn } from "node:child_process";

/** How a command ended. `"missing"`: there is no such command; `"late"`: it was ended after its deadline. */
export type CommandResult =
  | { readonly kind: "ended"; readonly code: number; readonly output: string }
  | { readonly kind: "missing" }
  | { readonly kind: "late" };

/** The end of what a command printed, kept for errors. */
const outputBytes = 16_384;

export interface CommandOptions {
  readonly deadlineMs: number;
  /** Whether a person sees what it prints, on stderr, instead of it being kept. */
  readonly shown?: boolean;
  readonly environment?: Readonly<Record<string, string | undefined>>;
}

/** Runs a command to its end. */
export async function runCommand(
  command: string,
  args: readonly string[],
  { deadlineMs, shown = false, environment = process.env }: CommandOptions,
): Promise<CommandResult> {
  return await new Promise((resolve) => {
    const child = spawn(command, args, {
      env: environment,
      stdio: shown ? ["ignore", 2, 2] : ["ignore", "pipe", "pipe"],
    });
    let output = "";
    const keep = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(-outputBytes);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    let late = false;
    const endWithUs = () => child.kill("SIGKILL");
    process.once("exit", endWithUs);
    const timer = setTimeout(() => {
      late = true;
      child.kill("SIGKILL");
    }, deadlineMs);
    const over = () => {
      clearTimeout(timer);
      process.off("exit", endWithUs);
    };
    child.once("error", () => {
      over();
      resolve({ kind: "missing" });
    });
    child.once("close", (code) => {
      over();
      resolve(late ? { kind: "late" } : { kind: "ended", code: code ?? 1, output });
    });
  });
}

/** The last line that says something: what a tool gives as its reason. */
export function lastLine(output: string): string {
  return output.trim().split("\n").at(-1)?.trim() ?? "";
}
