/**
 * Placeholder of an output that a render reads before it exists. It can be read and called to any depth: it prints as nothing,
 * equals nothing, and renders nothing. The plan is rendered again once the output exists.
 */

import { noteUse } from "./internal/scope.ts"

const inert = (): undefined => undefined

/** A text that no author writes. */
const mark = "\u{F0B1D}"

/** Text that pending values print as. */
let shownAs = ""

const isMarked = (): boolean => shownAs !== ""

/** Answers of the pending value to the protocols of printing, iteration, spreading and `await`. */
const answers = new Map<PropertyKey, unknown>([
  // Text only for string conversion: arithmetic and `==` must not see a number.
  [Symbol.toPrimitive, (hint: string): unknown => (hint === "string" || (hint === "default" && isMarked()) ? shownAs : Number.NaN)],
  [Symbol.iterator, (): Iterator<never> => [].values()],
  [Symbol.asyncIterator, async function* (): AsyncIterator<never> {}],
  [Symbol.toStringTag, "Pending"],
  ["toString", (): string => shownAs],
  ["valueOf", (): string => shownAs],
  ["toJSON", (): string | undefined => (isMarked() ? shownAs : undefined)],
  // With a `then` method, `await` would never complete.
  ["then", undefined],
])

/** The pending value. A single one suffices, since reads are recorded separately. */
export const pending: unknown = new Proxy(inert, {
  get: (_, key) => {
    noteUse()
    return answers.has(key) ? answers.get(key) : pending
  },
  apply: () => {
    noteUse()
    return pending
  },
  has: () => {
    noteUse()
    return false
  },
  ownKeys: () => {
    noteUse()
    return []
  },
  getOwnPropertyDescriptor: () => undefined,
  set: () => true,
  deleteProperty: () => true,
})

/** Returns `true` for the pending value. */
export const isPending = (value: unknown): boolean => value === pending

/** Runs a synchronous function in which text made of the pending value is recognisable. */
export const marked = <A>(run: () => A): A => {
  shownAs = mark
  try {
    return run()
  } finally {
    shownAs = ""
  }
}

/**
 * Returns `true` if a value contains the pending one, or text made of it under {@link marked}. Searches arrays, plain objects and
 * elements.
 */
export const holdsPending = (value: unknown): boolean => {
  const seen = new Set<object>()
  const open: Array<unknown> = [value]
  while (open.length > 0) {
    const next = open.pop()
    if (isPending(next) || (typeof next === "string" && next.includes(mark))) return true
    if (typeof next !== "object" || next === null || seen.has(next)) continue
    seen.add(next)
    open.push(...heldIn(next))
  }
  return false
}

/** Returns the values in an object; empty if a getter of the author throws, which its later use reports. */
const heldIn = (value: object): ReadonlyArray<unknown> => {
  try {
    if (Array.isArray(value)) return value
    if ("$$typeof" in value) return "props" in value ? [value.props] : []
    return isPlain(value) ? Object.values(value) : []
  } catch {
    return []
  }
}

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
