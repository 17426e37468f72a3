/**
 * Detects values of Effect 4, which may be installed beside this package. Users take them for those of Effect 3, but this
 * runtime cannot run them. So an error says what they are.
 */

const isMarked = (value: unknown, mark: string): boolean =>
  ((typeof value === "object" && value !== null) || typeof value === "function") && mark in value

/** Tells whether a value is an Effect of Effect 4. */
export const isEffect = (value: unknown): boolean => isMarked(value, "~effect/Effect")

/** The advice to append to an error about a value that is no schema, if it is one of Effect 4; otherwise empty. */
export const adviceOnSchema = (value: unknown): string =>
  isMarked(value, "~effect/Schema/Schema")
    ? ". This is a schema of Effect 4: import effect ^3.22.1 in its file, which this package works with"
    : ""
