/**
 * Everything an Effect app needs to declare workflows and run them: `Smithers.createWorkflow`, a store, and the errors.
 */

import type { InvalidSetting, StoreError } from "@smithers/core/Errors"
import { onStorage, type Runtime, type RuntimeOptions } from "@smithers/core/Smithers"
import * as SqliteStorage from "@smithers/sqlite/SqliteStorage"
import type * as Layer from "effect/Layer"

export * from "@smithers/core/Smithers"

/** Where and how runs are stored, and how they are driven. */
export interface SqliteOptions extends SqliteStorage.SqliteConfig, RuntimeOptions {}

/**
 * Runs kept in a SQLite file, which is created with mode 0600 where it is missing. `synchronous: "normal"` (the default) survives
 * a crash of the process and may lose the last commits with the power, whose steps then run again; `"full"` survives both.
 * Fails with a {@link StoreError} when the file cannot be opened, is damaged, or was written by a newer version, and with `InvalidSetting`
 * where an option is none.
 */
export const sqlite = (options: SqliteOptions): Layer.Layer<Runtime, StoreError | InvalidSetting> =>
  onStorage(SqliteStorage.layer(options), options)
