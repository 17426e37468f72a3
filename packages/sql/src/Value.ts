/** What goes into and comes out of a column, of whichever database. */
export type Value = string | number | null
