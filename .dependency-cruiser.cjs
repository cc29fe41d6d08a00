// Import directions of DESIGN's "The house": "a -> b" means that b may import a, never the other way round.
// bytes -> registry -> codec -> crypto -> policy -> engine -> index
const ikev2 = ["bytes", "registry", "codec", "crypto", "policy", "engine"];

const ikev2Layers = ikev2.map((layer, index) => ({
  name: `ikev2-${layer}-imports-only-what-is-below`,
  severity: "error",
  from: { path: `^packages/ikev2/src/${layer}/` },
  to: { path: `^packages/ikev2/src/(${[...ikev2.slice(index + 1), "index\\.ts"].join("|")})` },
}));

module.exports = {
  forbidden: [
    ...ikev2Layers,
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    { name: "not-resolvable", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "library-cores-depend-on-nothing",
      severity: "error",
      from: { path: "^packages/(ikev2|tcp-ao)/src/" },
      to: { pathNot: "^packages/(ikev2|tcp-ao)/src/" },
    },
    {
      name: "libraries-know-no-product",
      severity: "error",
      from: { path: "^packages/(ikev2|tcp-ao)/(src|node|linux)/" },
      to: { path: "^packages/karpd/" },
    },
    {
      name: "karpd-core-has-no-io",
      severity: "error",
      from: { path: "^packages/karpd/src/(core|ports)/" },
      to: { pathNot: ["^packages/karpd/src/(core|ports)/", "^packages/(ikev2|tcp-ao)/src/"] },
    },
    {
      name: "drivers-are-apart",
      severity: "error",
      from: { path: "^packages/karpd/src/drivers/([^/]+)/" },
      to: {
        path: "^packages/karpd/src/(drivers/[^/]+/|cli|web|control|storage|config|runtime|main)",
        pathNot: "^packages/karpd/src/drivers/($1|shared)/",
      },
    },
    {
      name: "libraries-by-the-front-door",
      severity: "error",
      from: { path: "^packages/karpd/" },
      to: { path: "^packages/(ikev2|tcp-ao)/(src|node|linux)/", pathNot: "/index\\.ts$" },
    },
    {
      name: "nobody-needs-the-cli-or-the-page",
      severity: "error",
      from: { path: "^packages/karpd/src/", pathNot: "^packages/karpd/src/(cli|web|main\\.ts|actions\\.ts)" },
      to: { path: "^packages/karpd/src/(cli|web)/" },
    },
    {
      name: "only-main-knows-the-implementations",
      severity: "error",
      from: { path: "^packages/karpd/src/(core|ports|storage|config|control)/" },
      to: { path: "^packages/karpd/src/(drivers|runtime|cli|web|main)" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default"],
      extensions: [".ts", ".js"],
    },
  },
};
