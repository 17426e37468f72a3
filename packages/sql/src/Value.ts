/** Value of a column, in any database. */
export type Value = string | number | null
