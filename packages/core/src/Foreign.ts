/**
 * Values of Effect 4, beside which this package may be installed. They look like ours to whoever reads the code, and like nothing to a runtime of
 * Effect 3; so what meets one says what it is.
 */

const isMarked = (value: unknown, mark: string): boolean =>
  ((typeof value === "object" && value !== null) || typeof value === "function") && mark in value

/** Whether a value is an Effect of Effect 4. */
export const isEffect = (value: unknown): boolean => isMarked(value, "~effect/Effect")

/** Says of what is no schema that it is one of Effect 4; nothing of anything else. */
export const adviceOnSchema = (value: unknown): string =>
  isMarked(value, "~effect/Schema/Schema")
    ? ". This is a schema of Effect 4: import effect ^3.22.1 in its file, which this package works with"
    : ""
