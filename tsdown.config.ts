import { readdirSync } from "node:fs";
import { defineConfig } from "tsdown";

const common = {
  format: "esm",
  platform: "node",
  target: "node20.19",
  inputOptions: { checks: { pluginTimings: false } },
} as const;

const examples = readdirSync("examples", { withFileTypes: true }).filter((entry) => entry.isDirectory());

export default defineConfig([
  {
    // The library keeps its file structure, so that the Lua scripts are found beside the code that runs them.
    ...common,
    entry: ["src/index.ts", "src/cli/main.ts"],
    outDir: "dist",
    unbundle: true,
    dts: true,
    copy: [{ from: "src/registry/redis/*.lua", to: "dist/registry/redis", flatten: true }],
  },
  {
    // The examples are bundled whole: `--server trips` works from an installed package, which has none of their
    // dependencies. What the package has anyway stays an import; Mooring itself is there once in a process.
    ...common,
    entry: Object.fromEntries(examples.map(({ name }) => [name, `examples/${name}/server.ts`])),
    outDir: "dist/examples",
    dts: false,
    deps: { neverBundle: ["mooring", "redis"], alwaysBundle: [/./], onlyBundle: false },
  },
]);
