/**
 * Everything an Effect app needs to declare workflows and run them: `Smithers.createWorkflow`, a store, and the errors.
 */
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import type { InvalidSetting, StoreError } from "@smithers/core/Errors"
import * as Core from "@smithers/core/Smithers"
import type { Ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Config from "effect/Config"
import type { ConfigError } from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"

export * from "@smithers/core/Smithers"

/** Needed to run a workflow: an engine, its store, and whoever asks agents. */
export type Runtime = Core.Runtime | AgentRunner

/** An engine on a given store, for workflows with and without agents. Fails with {@link InvalidSetting} where an option is none. */
export const onStorage = <E>(
  storage: Layer.Layer<Ports, E>,
  options?: Core.RuntimeOptions,
): Layer.Layer<Runtime, E | InvalidSetting> => Layer.merge(Core.onStorage(storage, options), AgentProgram.layer)

/** Runs that are forgotten with the layer. */
export const memory: Layer.Layer<Runtime> = Layer.merge(Core.memory, AgentProgram.layer)

/** Where and how runs are stored, and how they are driven. */
export interface SqliteOptions extends SqliteStorage.SqliteConfig, Core.RuntimeOptions {}

/**
 * Runs kept in a SQLite file, which is created with mode 0600 where it is missing. `synchronous: "normal"` (the default) survives
 * a crash of the process and may lose the last commits with the power, whose steps then run again; `"full"` survives both.
 * Fails with a {@link StoreError} when the file cannot be opened, is damaged, or was written by a newer version, and with `InvalidSetting`
 * where an option is none.
 */
export const sqlite = (options: SqliteOptions): Layer.Layer<Runtime, StoreError | InvalidSetting> =>
  onStorage(SqliteStorage.layer(options), options)

/** A setting that may be left out. */
const optional = <A>(config: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(config), Option.getOrUndefined)

/**
 * The settings of {@link sqlite} by names of their own: `SMITHERS_DB` (default: `smithers.db`), `SMITHERS_ACCESS`, `SMITHERS_SYNCHRONOUS`,
 * `SMITHERS_BUSY_TIMEOUT`, `SMITHERS_LEASE`, `SMITHERS_GRACE` and `SMITHERS_MAX_CONCURRENCY`.
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
  }),
  ({ filename, ...others }) => ({ filename, ...defined(others) }),
)

/**
 * Runs kept in a SQLite file, as {@link sqlite}, with settings from a `Config`: each under a name of yours, or all of them as {@link config} has them.
 * Fails with a `ConfigError` where one is missing or is none.
 */
export const layerConfig = (
  settings: Config.Config.Wrap<SqliteOptions> = config,
): Layer.Layer<Runtime, StoreError | InvalidSetting | ConfigError> =>
  Layer.unwrapEffect(Effect.map(Config.unwrap(settings), sqlite))
