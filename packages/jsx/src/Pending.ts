/**
 * What stands for an output that is read while rendering and is not there yet. It can be read and called to any depth, and what
 * is drawn from it is drawn again once the output is there: it prints as nothing, equals nothing, and as a child is nothing.
 */

import { noteUse } from "./internal/scope.ts"

const inert = (): undefined => undefined

/** Text that nobody writes. */
const mark = "\u{F0B1D}"

/** What pending values are printed as. */
let shownAs = ""

const isMarked = (): boolean => shownAs !== ""

/** Answers to what the language itself asks of a value when it prints, iterates, spreads or awaits it. */
const answers = new Map<PropertyKey, unknown>([
  // Text only where text is asked for: arithmetic and `==` take no number for nothing.
  [Symbol.toPrimitive, (hint: string): unknown => (hint === "string" || (hint === "default" && isMarked()) ? shownAs : Number.NaN)],
  [Symbol.iterator, (): Iterator<never> => [].values()],
  [Symbol.asyncIterator, async function* (): AsyncIterator<never> {}],
  [Symbol.toStringTag, "Pending"],
  ["toString", (): string => shownAs],
  ["valueOf", (): string => shownAs],
  ["toJSON", (): string | undefined => (isMarked() ? shownAs : undefined)],
  // Otherwise awaiting it would wait for ever.
  ["then", undefined],
])

/** The pending value. There is one: what is pending is known to whoever keeps the reads. */
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

/** Whether a value is the pending one. */
export const isPending = (value: unknown): boolean => value === pending

/** Runs something synchronous in which text made of the pending value can be told from other text. */
export const marked = <A>(run: () => A): A => {
  shownAs = mark
  try {
    return run()
  } finally {
    shownAs = ""
  }
}

/** Whether a value holds the pending one, or text made of it by {@link marked}. Looks into arrays, plain objects and elements. */
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

/** What a value holds; nothing where an author's value cannot be read, which whoever uses it will say. */
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
