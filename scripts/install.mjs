// Installs the dependencies of a checkout where they are missing. Runs on any Node that the package supports, before
// there is a node_modules.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const lockFile = join(root, "package-lock.json");
const installedFile = join(root, "node_modules", ".package-lock.json");
const stampFile = join(root, "node_modules", ".mooring-installed");

/** The newer Node that development runs on; a development dependency brings it. */
export const developmentNode = join(root, "node_modules", ".bin", "node");

/**
 * Runs `npm ci` when node_modules is missing or does not fit package-lock.json. npm shows its progress on stderr, so
 * that stdout is left to what was asked for.
 *
 * @param {{signal?: AbortSignal}} [options] `signal` ends npm
 */
export async function ensureDependencies({ signal } = {}) {
  const lock = createHash("sha256").update(readFileSync(lockFile)).digest("hex");
  if (!isInstalled(lock)) {
    console.error("Installing the dependencies (npm ci); this takes a minute …");
    const started = Date.now();
    await runNpm(["ci", "--no-audit", "--no-fund", "--loglevel=error"], signal);
    writeFileSync(stampFile, `${lock}\n`);
    console.error(`Installed in ${Math.round((Date.now() - started) / 1000)} s.`);
  }
  if (!existsSync(developmentNode)) {
    throw new Error(`${developmentNode} is missing: npm did not run its install script. Run: npm rebuild node`);
  }
}

/** By the content of the lock file; after an `npm install` by hand there is no stamp, and the times tell. */
function isInstalled(lock) {
  if (!existsSync(installedFile)) return false;
  if (existsSync(stampFile) && readFileSync(stampFile, "utf8").trim() === lock) return true;
  return statSync(installedFile).mtimeMs >= statSync(lockFile).mtimeMs;
}

function runNpm(args, signal) {
  const script = process.env.npm_execpath;
  const [command, first] = script?.endsWith(".js") ? [process.execPath, [script]] : ["npm", []];
  // Without npm's own settings of the script that runs now: they would count for the inner npm as if given to it.
  const environment = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !name.startsWith("npm_config_")),
  );
  return new Promise((resolve, reject) => {
    const npm = spawn(command, [...first, ...args], { cwd: root, env: environment, stdio: ["ignore", 2, 2], signal });
    npm.once("error", (error) => reject(new Error(`npm ci did not run: ${error.message}`)));
    npm.once("close", (code) => {
      if (code === 0) resolve();
      else
        reject(new Error(`npm ci failed (exit status ${code}); its reason stands above. Mend it and run this again.`));
    });
  });
}
