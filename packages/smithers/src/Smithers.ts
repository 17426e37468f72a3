/**
 * The entry point for Effect apps that declare and run workflows: `Smithers.createWorkflow`, a store, and the errors.
 */
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Prices from "@smithers/agents/Prices"
import { ToolRights } from "@smithers/agents/ToolSession"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import type * as Budget from "@smithers/core/Budget"
import * as Engine from "@smithers/core/Engine"
import { InvalidSetting, type StoreError } from "@smithers/core/Errors"
import type { LimitSettings } from "@smithers/core/Limits"
import * as Millis from "@smithers/core/Millis"
import * as Sandboxes from "@smithers/core/Sandboxes"
import * as Settings from "@smithers/core/Settings"
import * as Core from "@smithers/core/Smithers"
import type { Ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import * as Workspaces from "@smithers/core/Workspaces"
import * as Worktrees from "@smithers/core/Worktrees"
import * as Runner from "@smithers/sandbox/Runner"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

export * from "@smithers/core/Smithers"

/** The services needed to run a workflow: an engine, its store, and a runner of agents. */
export type Runtime = Core.Runtime | AgentRunner

/** Saves the files of tasks, makes worktrees by git, and sandboxes. Their code is loaded with the first of them. */
const workspaces = Layer.merge(
  Workspaces.lazy(async () => (await import("@smithers/workspace/GitWorkspaces")).layer()),
  Layer.provideMerge(
    Sandboxes.lazy(async (worktrees) => (await import("@smithers/sandbox/Sandboxes")).sandboxes(worktrees)),
    Worktrees.lazy(async () => (await import("@smithers/workspace/GitWorktrees")).layer),
  ),
)

/** An engine on a given store, for workflows with and without agents. Fails with {@link InvalidSetting} for an invalid option, and with a {@link StoreError} if limits cannot be stored. */
export const onStorage = <E>(
  storage: Layer.Layer<Ports, E>,
  options?: RuntimeOptions,
): Layer.Layer<Runtime, E | InvalidSetting | StoreError> => {
  // What is no object is refused by the engine.
  if (typeof options !== "object" || options === null || Array.isArray(options))
    return Layer.mergeAll(Core.onStorage(storage, options), agents(undefined, undefined), workspaces)
  const { tools, prices, ...engine } = options
  return Layer.mergeAll(Core.onStorage(storage, engine), agents(tools, prices), workspaces)
}

/** Rights of the tools of agents, and the isolation of the commands that they run. */
export const ToolOptions = Schema.Struct({
  ...ToolRights.fields,
  /**
   * `"bubblewrap"` isolates commands by namespaces, on Linux; `"sandbox-runtime"` by the package of that name, on macOS; `"container"` relies on the container around this process; `"none"` runs them with its rights.
   * Where it cannot be had, commands fail, and nothing is started. Default: `"sandbox-runtime"` on macOS, `"bubblewrap"` elsewhere.
   */
  isolation: Schema.optional(Schema.Literal(...Runner.isolations)),
})
export interface ToolOptions extends Schema.Schema.Type<typeof ToolOptions> {}

/** Options of a runtime. */
export interface RuntimeOptions extends Core.RuntimeOptions {
  readonly tools?: ToolOptions | undefined
  /** Prices of models, besides those that are known, or instead of them. In US dollars per million tokens. */
  readonly prices?: Prices.Prices | undefined
}

/** The expectation in the message of an issue. */
const expectedBy = (message: string): string =>
  message.startsWith("is unexpected")
    ? `left out: tools have no such setting, and have ${Object.keys(ToolOptions.fields).join(", ")}`
    : message.replace(/^Expected (?:exactly )?|, actual [\s\S]*$/g, "")

/** Reads the settings of tools, and refuses the first that is invalid or unknown. */
const toolOptions = (input: unknown): Either.Either<ToolOptions, InvalidSetting> =>
  Either.mapLeft(
    Schema.decodeUnknownEither(ToolOptions, { onExcessProperty: "error" })(input === undefined ? {} : input),
    (error) => {
      // Of a choice each member has an issue.
      const issues = ParseResult.ArrayFormatter.formatErrorSync(error)
      const path = ["tools", ...(issues[0]?.path ?? [])].map(String)
      const received = path.slice(1).reduce<unknown>((value, name) => Thrown.get(value, name), input)
      const expected = [...new Set(issues.map(({ message }) => expectedBy(message)))].join(" or ")
      return new InvalidSetting({ setting: path.join("."), received: Millis.show(received), expected })
    },
  )

/** The layer that calls agents, with tools that have these rights. */
const agents = (value: unknown, prices: unknown): Layer.Layer<AgentRunner, InvalidSetting> =>
  Layer.unwrapEffect(
    Either.flatMap(toolOptions(value), ({ isolation = Runner.defaultIsolation, ...rights }) =>
      Either.map(Prices.setting("prices", prices), (known) =>
        AgentProgram.layerWith({ rights, commands: Runner.make(isolation), prices: known }),
      ),
    ),
  )

/** An engine on a store in memory. Its runs are lost with the layer. */
export const memory: Layer.Layer<Runtime> = Layer.mergeAll(
  Core.memory,
  AgentProgram.layerWith({ commands: Runner.make(Runner.defaultIsolation) }),
  workspaces,
)

/** Options of the SQLite store, of the engine, and of the tools of agents. */
export interface SqliteOptions extends SqliteStorage.SqliteConfig, RuntimeOptions {}

/**
 * An engine on a SQLite file, which is created with mode 0600 if it does not exist. `synchronous: "normal"` (the default)
 * survives a crash of the process. A power loss may lose its last commits, whose steps then run again; `"full"` survives both.
 * Fails with a {@link StoreError} if the file cannot be opened, is damaged, or was written by a newer version, and with
 * `InvalidSetting` for an invalid option.
 */
export const sqlite = (options: SqliteOptions): Layer.Layer<Runtime, StoreError | InvalidSetting> =>
  Layer.unwrapEffect(
    Either.map(Settings.only("Smithers.sqlite", options, sqliteNames), () => {
      const { lease, maxConcurrency, grace, cache, dailyBudget, limits, secrets, snapshots, tools, prices, ...store } = options
      return onStorage(
        SqliteStorage.layer(store),
        defined({ lease, maxConcurrency, grace, cache, dailyBudget, limits, secrets, snapshots, tools, prices }),
      )
    }),
  )

const sqliteNames: Settings.Names<SqliteOptions> = {
  ...SqliteStorage.configNames,
  ...Engine.optionNames,
  tools: true,
  prices: true,
}

/** An optional setting. */
const optional = <A>(config: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(config), Option.getOrUndefined)

/** A setting as JSON, such as `{"anthropic":{"concurrency":4}}`. What is JSON and no such setting is refused by the runtime. */
const jsonConfig = <A>(variable: string): Config.Config<A> =>
  Config.mapAttempt(Config.string(variable), (text): A => JSON.parse(text))

/**
 * The settings of {@link sqlite} from the environment: `SMITHERS_DB` (default: `smithers.db`), `SMITHERS_ACCESS`, `SMITHERS_SYNCHRONOUS`,
 * `SMITHERS_BUSY_TIMEOUT`, `SMITHERS_LEASE`, `SMITHERS_GRACE`, `SMITHERS_MAX_CONCURRENCY`, `SMITHERS_SNAPSHOTS`, `SMITHERS_ISOLATION`,
 * and as JSON `SMITHERS_LIMITS`, `SMITHERS_DAILY_BUDGET` and `SMITHERS_PRICES`.
 */
export const config: Config.Config<SqliteOptions> = Config.map(
  Config.all({
    filename: Config.withDefault(Config.string("SMITHERS_DB"), "smithers.db"),
    access: optional(Config.literal("create", "write", "read")("SMITHERS_ACCESS")),
    synchronous: optional(Config.literal("normal", "full")("SMITHERS_SYNCHRONOUS")),
    busyTimeout: optional(Config.duration("SMITHERS_BUSY_TIMEOUT")),
    lease: optional(Config.duration("SMITHERS_LEASE")),
    grace: optional(Config.duration("SMITHERS_GRACE")),
    maxConcurrency: optional(Config.integer("SMITHERS_MAX_CONCURRENCY")),
    limits: optional(jsonConfig<LimitSettings>("SMITHERS_LIMITS")),
    dailyBudget: optional(jsonConfig<Budget.Options>("SMITHERS_DAILY_BUDGET")),
    prices: optional(jsonConfig<Prices.Prices>("SMITHERS_PRICES")),
    snapshots: optional(Config.boolean("SMITHERS_SNAPSHOTS")),
    isolation: optional(Config.literal(...Runner.isolations)("SMITHERS_ISOLATION")),
  }),
  ({ filename, isolation, ...others }) => ({
    filename,
    ...defined(others),
    ...(isolation === undefined ? {} : { tools: { isolation } }),
  }),
)

/**
 * Like {@link sqlite}, with settings from a `Config`: each under your own name, or all under the names of {@link config}. Fails
 * with a `ConfigError` if one is missing or invalid.
 */
export const layerConfig = (
  settings: Config.Config.Wrap<SqliteOptions> = config,
): Layer.Layer<Runtime, StoreError | InvalidSetting | ConfigError> =>
  Layer.unwrapEffect(
    Effect.gen(function* () {
      if (!Config.isConfig(settings)) {
        yield* Settings.only("Smithers.layerConfig", settings, sqliteNames)
        // Of these the settings within are Configs.
        const other = Object.entries(settings).find(
          ([name, value]) =>
            value !== undefined &&
            !Config.isConfig(value) &&
            (!["tools", "limits", "secrets", "dailyBudget", "prices"].includes(name) || typeof value !== "object"),
        )
        if (other !== undefined) {
          const expected = 'a Config, such as Config.string("NAME")'
          return yield* new InvalidSetting({ setting: other[0], received: Millis.show(other[1]), expected })
        }
      }
      return sqlite(yield* Config.unwrap(settings))
    }),
  )
