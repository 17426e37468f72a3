/**
 * Everything an Effect app needs to declare workflows and run them: `Smithers.createWorkflow`, a store, and the errors.
 */
import * as AgentProgram from "@smithers/agents/AgentProgram"
import type { AgentRunner } from "@smithers/core/AgentRunner"
import type { InvalidSetting, StoreError } from "@smithers/core/Errors"
import * as Core from "@smithers/core/Smithers"
import type { Ports } from "@smithers/core/Storage"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import * as Layer from "effect/Layer"

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
