/**
 * The database of a store through `@effect/sql`, which this subpath alone loads.
 */
export * as Sql from "@smithers/sqlite/Sql"
