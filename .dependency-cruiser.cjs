// Imports point one way: a folder may import those before it in this list (docs/architecture.md), never those after it.
const layers = ["model", "ports", "registry", "session", "node", "edge", "admin", "doctor", "local", "cli"];

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    {
      name: "model-is-pure",
      comment: "Decisions are functions of plain data: no sockets, files, timers or processes.",
      severity: "error",
      from: { path: "^src/model/" },
      to: {
        dependencyTypes: ["core", "npm", "npm-dev", "npm-optional", "npm-peer", "npm-no-pkg", "npm-unknown"],
        pathNot: "^(node:)?crypto$",
      },
    },
    ...layers.map((layer, index) => ({
      name: `${layer}-imports-only-what-stands-before-it`,
      severity: "error",
      from: { path: `^src/${layer}/` },
      to: { path: `^src/(${[...layers.slice(index + 1)].join("|") || "(?!)"})/` },
    })),
    {
      name: "only-the-command-line-builds-on-the-library's-menu",
      severity: "error",
      from: { path: `^src/(${layers.filter((l) => l !== "cli").join("|")})/` },
      to: { path: "^src/(index|create-node|mooring-node)[.]ts$" },
    },
    {
      name: "product-never-imports-tests",
      severity: "error",
      from: { path: "^(src|examples)/" },
      to: { path: "^(test|bench)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
  },
};
