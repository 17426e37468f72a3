/**
 * Who may import whom. Type-only imports count: a type that leaks across a boundary is a dependency too.
 *
 * Each rule is checked on the file an import resolves to, so a relative path is no way round it.
 */
const typescript = require("typescript")

// Without a TypeScript whose compiler API it knows, dependency-cruiser skips .ts files and reports no violations at all.
if (!/^[56]\./.test(typescript.version)) throw new Error(`boundaries: need the TypeScript 5 or 6 API, found ${typescript.version}`)

/** The other packages that each package may import. A package that is not listed may import every other one. */
const mayImport = {
  core: [],
  sql: ["core"],
  sqlite: ["core", "sql"],
  jsx: ["core"],
  agents: ["core"],
  sandbox: ["core"],
  workspace: ["core"],
  hot: ["core"],
  testing: ["core", "jsx", "agents", "sandbox"],
  patterns: ["core", "jsx"],
  server: ["core"],
  ui: ["core", "server"],
  cli: ["core", "sqlite", "jsx", "agents", "sandbox", "workspace", "hot", "server"],
}

const direction = Object.entries(mayImport).map(([from, to]) => ({
  name: `${from}-imports-only-${["itself", ...to].join("-and-")}`,
  severity: "error",
  from: { path: `^packages/${from}/` },
  to: { path: "^packages/", pathNot: `^packages/(${[from, ...to].join("|")})/` },
}))

/** The npm packages (as patterns) that a package may import, and whether it may import modules of Node and Bun. */
const outside = {
  core: { npm: ["effect", "@standard-schema/spec", "@cfworker/json-schema"], runtime: false },
  sql: { npm: ["effect"], runtime: false },
  sqlite: { npm: ["effect", "@effect/[^/]+"], runtime: true },
  testing: { npm: ["effect"], runtime: true },
  patterns: { npm: ["react", "@types/react"], runtime: false },
  sandbox: { npm: ["effect", "@anthropic-ai/sandbox-runtime"], runtime: true },
  workspace: { npm: ["effect"], runtime: true },
  hot: { npm: ["effect"], runtime: true },
  server: { npm: ["effect", "@effect/platform(-bun)?", "@modelcontextprotocol/sdk"], runtime: true },
  // For browsers, but for the module that builds it.
  ui: {
    npm: ["react", "react-dom", "@types/react(-dom)?", "@tanstack/[^/]+", "wouter"],
    modules: ["crypto", "fs", "path", "url", "zlib"],
    runtime: false,
  },
  agents: { npm: ["effect", "ai", "@ai-sdk/[^/]+", "@effect/ai", "@vscode/ripgrep"], runtime: true },
  jsx: {
    npm: [
      "effect",
      "react",
      "react-reconciler",
      "@types/react",
      "@mdx-js/mdx",
      "yaml",
      "decode-named-character-reference",
      "@types/[^/]+",
      "estree[^/]*",
      "unified",
      "vfile",
      "unist[^/]*",
    ],
    // To load the reconciler with the first render; every runtime has it.
    modules: ["module"],
    runtime: false,
  },
}

const externals = Object.entries(outside).map(([from, { npm, modules = [], runtime }]) => ({
  name: `${from}-externals`,
  severity: "error",
  from: { path: `^packages/${from}/` },
  to: {
    pathNot: ["^packages/", `(^|/)node_modules/(${npm.join("|")})/`, ...modules.map((name) => `^(node:)?${name}$`)],
    ...(runtime ? { dependencyTypesNot: ["core"] } : {}),
  },
}))

module.exports = {
  forbidden: [
    {
      name: "no-circular",
      severity: "error",
      from: {},
      to: { circular: true },
    },
    {
      name: "no-unresolvable",
      comment: "Also catches a path that the `exports` of a package does not offer, such as its internal/.",
      severity: "error",
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: "cli-knows-stores-by-one-table",
      comment: "Commands work with ports; what a file is called by is the same for all of them.",
      severity: "error",
      from: { path: "^packages/cli/", pathNot: "^packages/cli/src/Stores\\.ts$" },
      to: { path: "^packages/sqlite/", pathNot: "^packages/sqlite/src/Location\\.ts$" },
    },
    ...direction,
    {
      name: "page-knows-types-only",
      comment: "Whatever else of these packages a page imported would be in what every browser loads.",
      severity: "error",
      from: { path: "^packages/ui/" },
      to: { path: "^packages/(core|server)/", dependencyTypesNot: ["type-only"] },
    },
    ...externals,
    {
      name: "facade-does-not-load-the-command-line",
      comment: "The program is part of the published package; importing the package must not load it.",
      severity: "error",
      from: { path: "^packages/smithers/", pathNot: "^packages/smithers/src/bin\\.ts$" },
      to: { path: "^packages/cli/" },
    },
    {
      name: "only-agents-know-the-sdk",
      comment: "What is known of the AI SDK stands in one package.",
      severity: "error",
      from: { path: "^packages/", pathNot: "^packages/agents/" },
      to: { path: "(^|/)node_modules/(ai|@ai-sdk/[^/]+)/" },
    },
    {
      name: "sdk-is-loaded-when-needed",
      comment: "It takes a tenth of a second: types may be imported, and the rest only by import() once an agent is asked.",
      severity: "error",
      from: { path: "^packages/" },
      to: { path: "(^|/)node_modules/(ai|@ai-sdk/[^/]+)/", dynamic: false, dependencyTypesNot: ["type-only"] },
    },
    {
      name: "only-sql-knows-the-client",
      comment: "@effect/sql is for users; what the engine does goes by prepared statements.",
      severity: "error",
      from: { path: "^packages/", pathNot: "^packages/sqlite/src/(Sql|internal/sql[A-Z]\\w*)\\.ts$" },
      to: { path: "(^|/)node_modules/@effect/(sql|sql-[^/]+|experimental)/" },
    },
    {
      name: "only-its-agents-know-effect-ai",
      comment: "@effect/ai is a peer of one subpath.",
      severity: "error",
      from: { path: "^packages/", pathNot: "^packages/agents/src/(effectAgent|internal/effectModel)\\.ts$" },
      to: { path: "(^|/)node_modules/@effect/ai/" },
    },
    {
      name: "effect-ai-is-loaded-by-its-subpath",
      comment: "The peers of that subpath need not be installed by anybody else.",
      severity: "error",
      from: {
        path: "^packages/",
        pathNot: "^packages/(smithers/src/effect-ai|agents/src/(effectAgent|internal/effectModel))\\.ts$",
      },
      to: { path: "^packages/(smithers/src/effect-ai|agents/src/(effectAgent|internal/effectModel))\\.ts$" },
    },
    {
      name: "sql-is-loaded-by-its-subpath",
      comment: "The peers of that subpath need not be installed by anybody else.",
      severity: "error",
      from: { path: "^packages/", pathNot: "^packages/(smithers/src/sql|sqlite/src/(Sql|internal/sql[A-Z]\\w*))\\.ts$" },
      to: { path: "^packages/(smithers/src/sql|sqlite/src/(Sql|internal/sql[A-Z]\\w*))\\.ts$" },
    },
    {
      name: "server-imports-modules-and-no-barrels",
      comment: "The barrel of @effect/platform takes a second to load: it holds two pages of documentation.",
      severity: "error",
      from: { path: "^packages/(server|cli)/" },
      to: {
        path: "node_modules/@effect/platform/.+/(index|HttpApiScalar|HttpApiSwagger)[.]",
        dependencyTypesNot: ["type-only"],
      },
    },
    {
      name: "views-are-pure",
      comment: "Views show stored state; they run in browsers.",
      severity: "error",
      from: { path: "^packages/server/src/views/" },
      to: { pathNot: ["^packages/(core|server/src/views)/", "(^|/)node_modules/effect/"] },
    },
    {
      name: "packages-by-name",
      comment: "One package imports another by its name, never by a relative path.",
      severity: "error",
      from: { path: "^packages/([^/]+)/" },
      to: { path: "^packages/", pathNot: "^packages/$1/", dependencyTypes: ["local"], dependencyTypesNot: ["aliased-workspace"] },
    },
    {
      name: "internal-is-private",
      comment: "Only a package itself and the tests that mirror it (test/<package>) may import its internal/.",
      severity: "error",
      from: { path: "^(?:packages|test)/([^/]+)/" },
      to: { path: "^packages/[^/]+/src/internal/", pathNot: "^packages/$1/" },
    },
    {
      name: "internal-is-private-elsewhere",
      severity: "error",
      from: { pathNot: "^(packages|test)/[^/]+/" },
      to: { path: "^packages/[^/]+/src/internal/" },
    },
    {
      name: "no-tests-in-packages",
      comment: "Packages never import tests, benchmarks or examples.",
      severity: "error",
      from: { path: "^packages/" },
      to: { path: "^(test|bench|examples)/" },
    },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^packages/ui/dist/" },
    tsPreCompilationDeps: true,
    builtInModules: { add: ["bun", "bun:ffi", "bun:jsc", "bun:sqlite", "bun:test"] },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["bun", "import", "types", "default"],
      mainFields: ["module", "main", "types"],
      extensions: [".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".d.ts", ".json"],
    },
  },
}
