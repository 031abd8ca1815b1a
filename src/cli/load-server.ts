import { existsSync } from "node:fs";
import { isAbsolute, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { ServerDefinition } from "../session/define-server.ts";
import { CommandError } from "./failure.ts";
import { hookModules, specifierFromHere } from "./module-hooks.ts";

/** Servers that come with Mooring, by the names that a person can give. */
const builtIn: readonly string[] = ["trips", "yardstick", "conformance"];

/** Loads the server that a module exports as its default. Every way to fail gives one clear error. */
export async function loadServer(name: string): Promise<ServerDefinition> {
  const specifier = specifierOf(name);
  hookModules();
  let loaded: { readonly default?: unknown };
  try {
    loaded = (await import(specifier)) as { readonly default?: unknown };
  } catch (error) {
    throw loadError(name, specifier, error);
  }
  const found = loaded.default;
  if (typeof found === "function") return { create: found as ServerDefinition["create"] };
  if (typeof found === "object" && found !== null && "create" in found && typeof found.create === "function") {
    return found as ServerDefinition;
  }
  const what = found === undefined ? "no default export" : `${typeof found} as its default export`;
  throw new CommandError(
    "no-server",
    `The module ${name} has no server: it has ${what}. Let it say: export default defineServer(({ session }) => …).`,
  );
}

function specifierOf(name: string): string {
  if (builtIn.includes(name)) return builtInUrl(name);
  const path = resolve(name);
  if (existsSync(path)) return pathToFileURL(path).href;
  if (name.startsWith(".") || isAbsolute(name)) {
    throw new CommandError("module-not-found", `There is no module ${path}. Correct the path${orBuiltIn}.`);
  }
  return specifierFromHere(name);
}

const orBuiltIn = `, or take a server that comes with Mooring: ${builtIn.join(", ")}`;

function builtInUrl(name: string): string {
  const inCheckout = import.meta.url.endsWith(".ts");
  return new URL(inCheckout ? `../../examples/${name}/server.ts` : `../examples/${name}.mjs`, import.meta.url).href;
}

function loadError(name: string, specifier: string, error: unknown): CommandError {
  const { code, message } = error as NodeJS.ErrnoException;
  const cause = { cause: error };
  if (code === "ERR_UNKNOWN_FILE_EXTENSION" && /\.[mc]?tsx?$/.test(name)) {
    return new CommandError(
      "module-unreadable",
      `This Node (${process.version}) can't run ${name}, which is TypeScript. Use Node 22.18 or newer, or give the compiled module.`,
    );
  }
  // The module itself, not one that it imports, is missing.
  if (code === "ERR_MODULE_NOT_FOUND" && isMissing(name, specifier, message)) {
    return new CommandError(
      "module-not-found",
      `There is no module ${name}: neither a file in ${process.cwd()} nor an installed package. Correct the name${orBuiltIn}.`,
    );
  }
  return new CommandError(
    "module-failed",
    `The module ${name} could not be loaded: ${message ?? String(error)}`,
    1,
    cause,
  );
}

function isMissing(name: string, specifier: string, message: string): boolean {
  if (specifier.startsWith("file:")) return message.includes(`module '${fileURLToPath(specifier)}'`);
  return message.includes(`'${name}'`) || message.includes(`'${name.split("/")[0]}'`);
}
