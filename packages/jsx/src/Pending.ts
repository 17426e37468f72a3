/**
 * What stands for an output that is read while rendering and is not there yet. It can be read and called to any depth, and what
 * is drawn from it is drawn again once the output is there: it prints as nothing, equals nothing, and as a child is nothing.
 */

const inert = (): undefined => undefined

/** Answers to what the language itself asks of a value when it prints, iterates, spreads or awaits it. */
const answers = new Map<PropertyKey, unknown>([
  // Text only where text is asked for: arithmetic and `==` take no number for nothing.
  [Symbol.toPrimitive, (hint: string): unknown => (hint === "string" ? "" : Number.NaN)],
  [Symbol.iterator, (): Iterator<never> => [].values()],
  [Symbol.asyncIterator, async function* (): AsyncIterator<never> {}],
  [Symbol.toStringTag, "Pending"],
  ["toString", (): string => ""],
  ["valueOf", (): string => ""],
  ["toJSON", inert],
  // Otherwise awaiting it would wait for ever.
  ["then", undefined],
])

/** The pending value. There is one: what is pending is known to whoever keeps the reads. */
export const pending: unknown = new Proxy(inert, {
  get: (_, key) => (answers.has(key) ? answers.get(key) : pending),
  apply: () => pending,
  has: () => false,
  ownKeys: () => [],
  getOwnPropertyDescriptor: () => undefined,
  set: () => true,
  deleteProperty: () => true,
})

/** Whether a value is the pending one. */
export const isPending = (value: unknown): boolean => value === pending
