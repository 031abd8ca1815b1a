import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

/** What is shown within one process: a few files at a time, for they mostly wait. */
const inOneProcess = ["model", "session", "node", "simulation"].map((folder) => `test/${folder}/**/*.test.ts`);

export default defineConfig({
  resolve: { alias: { mooring: fileURLToPath(new URL("./src/index.ts", import.meta.url)) } },
  test: {
    testTimeout: 60_000,
    hookTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: "process", include: inOneProcess, maxWorkers: 3, sequence: { groupOrder: 0 } },
      },
      {
        extends: true,
        test: {
          name: "cluster",
          include: ["test/**/*.test.ts"],
          exclude: inOneProcess,
          // Real Traefik, Valkey and node processes on two cores: files take turns, so that one's load is not another's
          // flake.
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
