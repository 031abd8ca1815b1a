// Packs the package, installs it in an empty folder as a person would, and runs the library example and a cluster from
// there with the Node that runs this file: `npm test` runs it with the machine's own, which may be the oldest that is
// supported.
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { tryCluster } from "./installed-cluster.mjs";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const bin = join(root, "node_modules", ".bin");
const tsc = join(root, "node_modules", "typescript", "bin", "tsc");

// The npm that belongs to the machine's Node, not to the newer one in node_modules/.bin, and without the settings that
// the npm which runs this script hands on to it.
const path = (process.env.PATH ?? "").split(delimiter).filter((entry) => entry !== bin);
const environment = {
  ...Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("npm_"))),
  PATH: [dirname(process.execPath), ...path].join(delimiter),
};

const folder = mkdtempSync(join(tmpdir(), "mooring-installed-"));

function run(file, args, cwd = folder) {
  try {
    return execFileSync(file, args, { cwd, env: environment, encoding: "utf8", timeout: 240_000, stdio: "pipe" });
  } catch (error) {
    throw new Error(`${error.message}\n${error.stdout ?? ""}`);
  }
}

try {
  const packed = run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", folder], root);
  const tarball = readTarballName(packed);
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "app", private: true, type: "module" }));
  const [sdk, types] = ["@modelcontextprotocol/server", "@types/node"].map(
    (name) => `${name}@${manifest.devDependencies[name]}`,
  );
  const quiet = ["--no-audit", "--no-fund", "--loglevel=error", "--prefer-offline"];
  run("npm", ["install", ...quiet, join(folder, tarball), sdk, types]);
  // The example of the README, which is plain JavaScript as well.
  copyFileSync(join(root, "examples", "counter", "server.ts"), join(folder, "server.js"));
  copyFileSync(join(root, "scripts", "checks", "embedding-app.mjs"), join(folder, "app.mjs"));
  // Every declaration of the package is checked, not only those that the app uses.
  const strict = ["--strict", "--target", "es2023", "--module", "nodenext", "--types", "node"];
  run(process.execPath, [tsc, "--noEmit", "--allowJs", "--checkJs", ...strict, "app.mjs", "server.js"]);
  process.stdout.write(run(process.execPath, ["app.mjs"]));
  const help = run(join(folder, "node_modules", ".bin", "mooring"), ["--help"]);
  if (!help.includes("Usage: mooring")) throw new Error(`mooring --help printed: ${help}`);
  for (const example of ["trips", "yardstick", "conformance"]) {
    const file = join(folder, "node_modules", "mooring", "dist", "examples", `${example}.mjs`);
    const found = (await import(pathToFileURL(file).href)).default;
    if (typeof found?.create !== "function") throw new Error(`the bundled example ${example} does not define a server`);
  }
  const nodes = await tryCluster(folder, environment);
  console.log(`Its \`mooring up\` ran a cluster of ${nodes} nodes with the trips example, and stopped.`);
  console.log(`The package, installed from ${tarball}, works on Node ${process.version}.`);
  const [major] = process.versions.node.split(".");
  if (major !== "20") {
    console.log(`not run: the same on Node 20, the oldest supported (start npm test with a Node 20 to have it run).`);
  }
} catch (error) {
  console.error(error.message);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** npm 11 prints an array, npm 12 an object by the package's name. */
function readTarballName(printed) {
  const found = Object.values(JSON.parse(printed))[0]?.filename;
  if (typeof found !== "string") throw new Error(`npm pack did not name its file: ${printed}`);
  return found;
}
