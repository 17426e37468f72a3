/**
 * Values that are kept and given out again and again: the input of a run, and outputs. Whoever is given one cannot change what is kept.
 * Plain objects and arrays are frozen, once, where they are decoded. What cannot be frozen is given out as a copy: dates, maps, sets and
 * binary data are copied as what they are, and of what else there is, such as instances of classes, the codec makes another.
 */
import type { NodeKey } from "../Ids.ts"
import { isPlainObject, setOwn } from "./json.ts"

/** A value that is given out again and again; each time another one, where it holds what cannot be frozen. */
export interface Kept<out A = unknown> {
  readonly give: () => A
}

type Copy = () => unknown

/**
 * Arrays longer than this are copied and not frozen: a frozen array is another kind of array to the engine that runs this, which takes
 * a microsecond per item to make, and a tenth of that to read.
 */
const longestFrozen = 1000

/**
 * Keeps a value that was just decoded. `again` is asked for what decodes it once more, where the value holds what can neither be frozen nor
 * copied; `undefined` where that cannot be done at once.
 */
export const keep = <A>(value: A, again?: () => (() => A) | undefined): Kept<A> => {
  const walk = new Walk()
  const copy = walk.visit(value) as (() => A) | undefined
  if (copy === undefined) return { give: () => value }
  if (!walk.isOpaque) return { give: copy }
  let decode: (() => A) | undefined
  let isAsked = false
  const give = (): A => {
    if (!isAsked) decode = again?.()
    isAsked = true
    if (decode === undefined) return copy()
    const made = decode()
    new Walk().visit(made)
    return made
  }
  return { give }
}

/** Freezes JSON, and answers with it, or with a copy where it holds an array that is too long to be frozen. */
export const giveJson = <A>(json: A): A => keep(json).give()

/** Freezes what can be frozen of a value, and answers whether that is all of it, so that it can be given to several. */
export const isShareable = (value: unknown): boolean => new Walk().visit(value) === undefined

/** What engines say where something frozen is changed. */
const refusals = /read-?\s?only|not extensible|delete property|length is not writable/i

/** What to do about an error that may come of changing a value that was given out; empty for other errors. */
export const adviceOn = (thrown: unknown): string =>
  thrown instanceof TypeError && refusals.test(String(thrown.message))
    ? " Values that a run gives out are frozen: change a copy of them, such as [...list] or structuredClone(value)."
    : ""

const dateTime = Date.prototype.getTime
const typedArray = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array

/** One walk through a value, which freezes what can be frozen. */
class Walk {
  /** There is something that is neither frozen nor copied. */
  isOpaque = false
  /** What was met frozen, or is never frozen, and how it is copied: parts may stand in a value twice, or contain themselves. */
  private met: Map<object, Copy | undefined> | undefined

  /** Freezes a value, and answers with what copies it, where it holds anything that cannot be frozen. */
  visit(value: unknown): Copy | undefined {
    if (typeof value !== "object" || value === null) return undefined
    if (Array.isArray(value)) return this.visitOnce(value, value.length <= longestFrozen, this.visitArray)
    if (isPlainObject(value)) return this.visitOnce(value as { readonly [key: string]: unknown }, true, this.visitObject)
    return this.visitOther(value)
  }

  private visitOnce<A extends object>(value: A, mayFreeze: boolean, visit: (value: A) => Copy | undefined): Copy | undefined {
    if (mayFreeze && !Object.isFrozen(value)) {
      Object.freeze(value)
      return visit.call(this, value)
    }
    if (this.met?.has(value) === true) return this.met.get(value)
    this.met ??= new Map()
    this.met.set(value, undefined)
    const copy = visit.call(this, value)
    this.met.set(value, copy)
    return copy
  }

  private visitArray(items: ReadonlyArray<unknown>): Copy | undefined {
    const isLong = items.length > longestFrozen
    let parts: Array<readonly [index: number, copy: Copy]> | undefined
    for (let index = 0; index < items.length; index++) {
      const copy = this.visit(items[index])
      if (copy === undefined) continue
      parts ??= []
      parts.push([index, copy])
    }
    if (parts === undefined && !isLong) return undefined
    const copied = parts
    return () => {
      const made = items.slice()
      if (copied !== undefined) for (const [index, copy] of copied) made[index] = copy()
      return isLong ? made : Object.freeze(made)
    }
  }

  private visitObject(object: { readonly [key: string]: unknown }): Copy | undefined {
    let parts: Array<readonly [key: string, copy: Copy]> | undefined
    for (const key of Object.keys(object)) {
      const copy = this.visit(object[key])
      if (copy === undefined) continue
      parts ??= []
      parts.push([key, copy])
    }
    if (parts === undefined) return undefined
    const copied = parts
    return () => {
      const made: Record<string, unknown> =
        Object.getPrototypeOf(object) === null ? Object.assign(Object.create(null), object) : { ...object }
      for (const [key, copy] of copied) setOwn(made, key, copy())
      return Object.freeze(made)
    }
  }

  private visitOther(value: object): Copy | undefined {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Date.prototype) return () => new Date(dateTime.call(value))
    if (prototype === Map.prototype) return this.visitMap(value as Map<unknown, unknown>)
    if (prototype === Set.prototype) return this.visitSet(value as Set<unknown>)
    if (value instanceof DataView) {
      const view = value
      return () => new DataView(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength))
    }
    if (ArrayBuffer.isView(value)) return () => typedArray.slice.call(value)
    if (prototype === ArrayBuffer.prototype) return () => (value as ArrayBuffer).slice(0)
    this.isOpaque = true
    return () => value
  }

  private visitMap(map: ReadonlyMap<unknown, unknown>): Copy {
    const entries = [...map].map(([key, value]) => [key, this.visit(key), value, this.visit(value)] as const)
    return () => new Map(entries.map(([key, copyKey, value, copy]) => [copyKey?.() ?? key, copy?.() ?? value]))
  }

  private visitSet(set: ReadonlySet<unknown>): Copy {
    const items = [...set].map((item) => [item, this.visit(item)] as const)
    return () => new Set(items.map(([item, copy]) => copy?.() ?? item))
  }
}

/** Outputs of a run by their rows. */
export class Outputs {
  private readonly kept = new Map<NodeKey, Kept>()

  get(key: NodeKey): unknown {
    return this.kept.get(key)?.give()
  }
  has(key: NodeKey): boolean {
    return this.kept.has(key)
  }
  set(key: NodeKey, kept: Kept): void {
    this.kept.set(key, kept)
  }
  delete(key: NodeKey): void {
    this.kept.delete(key)
  }
}
