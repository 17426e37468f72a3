/**
 * Values that are handed out repeatedly: the input of a run, and outputs. Receivers cannot change the stored value. Plain
 * objects and arrays are frozen once, when they are decoded. Dates, maps, sets and binary data cannot be frozen, so each
 * receiver gets a copy. Other values, such as instances of classes, are decoded again by their codec.
 */
import type { NodeKey } from "../Ids.ts"
import { isPlainObject, setOwn } from "./json.ts"

/** A value that is handed out repeatedly; a new copy each time if it cannot be frozen. */
export interface SharedValue<out A = unknown> {
  give(): A
}

/** A value that all receivers share. A function that gives it would keep what it was decoded from, for each output of a run. */
class Frozen<A> implements SharedValue<A> {
  private readonly value: A
  constructor(value: A) {
    this.value = value
  }
  give(): A {
    return this.value
  }
}

/** The way to copy a value: a function, or for a list or object, its parts that must be copied. */
type Copy = (() => unknown) | Copied

interface Copied {
  readonly of: Container
  readonly parts: ReadonlyArray<readonly [key: string | number, copy: Copy]>
}

type Container = ReadonlyArray<unknown> | { readonly [key: string]: unknown }

/**
 * Longest array that is frozen instead of copied. JavaScript engines convert a frozen array to another kind, which costs a
 * microsecond per item to make, and a tenth of that to read.
 */
const longestFrozen = 1000

/**
 * Keeps a value that was just decoded. `again` returns a function to decode it again, for parts that can neither be frozen nor
 * copied; `undefined` if that is not possible synchronously.
 */
export const share = <A>(value: A, again?: () => (() => A) | undefined): SharedValue<A> => {
  if (isFlat(value)) return new Frozen(Object.freeze(value))
  const walk = new Walk()
  const copy = walk.visit(value)
  if (copy === undefined) return new Frozen(value)
  const copied = () => make(copy) as A
  if (!walk.isOpaque) return { give: copied }
  let decode: (() => A) | undefined
  let isAsked = false
  const give = (): A => {
    if (!isAsked) decode = again?.()
    isAsked = true
    if (decode === undefined) return copied()
    const made = decode()
    new Walk().visit(made)
    return made
  }
  return { give }
}

const isArray = (value: object): value is ReadonlyArray<unknown> => Array.isArray(value)

/** Tells whether a value has no nested parts to freeze. */
const isFlat = (value: unknown): boolean => {
  if (typeof value !== "object" || value === null) return true
  if (!isPlainObject(value)) return false
  for (const key in value) {
    const part = value[key]
    if (typeof part === "object" && part !== null) return false
  }
  return true
}

/** Freezes JSON and returns it, or a copy if it holds an array that is too long to freeze. */
export const giveJson = <A>(json: A): A => share(json).give()

/** Freezes a value as far as possible. Returns whether all of it is frozen, so that it can be shared. */
export const isShareable = (value: unknown): boolean => new Walk().visit(value) === undefined

/** Messages of JavaScript engines about a change of a frozen value. */
const refusals = /read-?\s?only|not extensible|delete property|length is not writable/i

/** The advice for an error that may come from changing a shared value; empty for other errors. */
export const adviceOn = (thrown: unknown): string =>
  thrown instanceof TypeError && refusals.test(String(thrown.message))
    ? " Values that a run gives out are frozen: change a copy of them, such as [...list] or structuredClone(value)."
    : ""

const dateTime = Date.prototype.getTime
const typedArray: Uint8Array = Object.getPrototypeOf(Uint8Array.prototype)

/** A list or object whose parts are being visited. */
type Visit = (
  | { readonly of: ReadonlyArray<unknown>; readonly keys: undefined }
  | { readonly of: { readonly [key: string]: unknown }; readonly keys: ReadonlyArray<string> }
) & {
  readonly size: number
  next: number
  copies: Array<readonly [key: string | number, copy: Copy]> | undefined
}

/** One walk through a value that freezes what it can. Lists may be nested as deeply as the groups of a plan. */
class Walk {
  /** `true` if a part can neither be frozen nor copied. */
  isOpaque = false
  /** Parts that were frozen before or cannot be, and their copies: a part may occur twice, or contain itself. */
  private met: Map<object, Copy | undefined> | undefined

  /** Freezes a value, and returns the way to copy it if it cannot all be frozen. */
  visit(value: unknown): Copy | undefined {
    if (typeof value !== "object" || value === null) return undefined
    const open: Array<Visit> = []
    let copy = this.enter(value, open)
    for (let visit = open.at(-1); visit !== undefined; ) {
      if (visit.next === visit.size) {
        open.pop()
        copy = copyOf(visit)
        if (this.met?.has(visit.of) === true) this.met.set(visit.of, copy)
        visit = open.at(-1)
        if (visit !== undefined) noteCopy(visit, copy)
        continue
      }
      const part = visit.keys === undefined ? visit.of[visit.next] : visit.of[visit.keys[visit.next] ?? ""]
      visit.next++
      if (typeof part !== "object" || part === null) continue
      const around = open.length
      const found = this.enter(part, open)
      if (open.length === around) noteCopy(visit, found)
      else visit = open.at(-1)
    }
    return copy
  }

  /** Starts to visit a list or object, and returns the copy of anything else. */
  private enter(value: object, open: Array<Visit>): Copy | undefined {
    const isList = isArray(value)
    if (!isList && !isPlainObject(value)) return this.visitOther(value)
    if ((!isList || value.length <= longestFrozen) && !Object.isFrozen(value)) Object.freeze(value)
    else {
      if (this.met?.has(value) === true) return this.met.get(value)
      this.met ??= new Map()
      this.met.set(value, undefined)
    }
    if (isList) open.push({ of: value, keys: undefined, size: value.length, next: 0, copies: undefined })
    else {
      const keys = Object.keys(value)
      open.push({ of: value, keys, size: keys.length, next: 0, copies: undefined })
    }
    return undefined
  }

  private visitOther(value: object): Copy | undefined {
    const prototype: unknown = Object.getPrototypeOf(value)
    if (prototype === Date.prototype) return () => new Date(dateTime.call(value))
    if (value instanceof Map && prototype === Map.prototype) return this.visitMap(value)
    if (value instanceof Set && prototype === Set.prototype) return this.visitSet(value)
    if (value instanceof DataView) {
      const view = value
      return () => new DataView(view.buffer.slice(view.byteOffset, view.byteOffset + view.byteLength))
    }
    if (ArrayBuffer.isView(value)) return () => typedArray.slice.call(value)
    if (value instanceof ArrayBuffer && prototype === ArrayBuffer.prototype) return () => value.slice(0)
    this.isOpaque = true
    return () => value
  }

  private visitMap(map: ReadonlyMap<unknown, unknown>): Copy {
    const entries = [...map].map(([key, value]) => [key, this.visit(key), value, this.visit(value)] as const)
    return () =>
      new Map(
        entries.map(([key, copyKey, value, copy]) => [
          copyKey === undefined ? key : make(copyKey),
          copy === undefined ? value : make(copy),
        ]),
      )
  }

  private visitSet(set: ReadonlySet<unknown>): Copy {
    const items = [...set].map((item) => [item, this.visit(item)] as const)
    return () => new Set(items.map(([item, copy]) => (copy === undefined ? item : make(copy))))
  }
}

const keyOf = ({ keys }: Visit, index: number): string | number => keys?.[index] ?? index

/** Records the copy of the part that was visited last. */
const noteCopy = (visit: Visit, copy: Copy | undefined): void => {
  if (copy === undefined) return
  visit.copies ??= []
  visit.copies.push([keyOf(visit, visit.next - 1), copy])
}

const copyOf = ({ of, copies }: Visit): Copy | undefined =>
  copies === undefined && !isLong(of) ? undefined : { of, parts: copies ?? [] }

const isLong = (of: Container): boolean => Array.isArray(of) && of.length > longestFrozen

/** Makes a copy, frozen as far as possible. */
const make = (copy: Copy): unknown => {
  if (typeof copy === "function") return copy()
  const outers: Array<ReturnType<typeof begun>> = []
  let last = begun(copy, "")
  for (;;) {
    const part = last.of.parts[last.next]
    if (part !== undefined) {
      last.next++
      if (typeof part[1] === "function") put(last.made, part[0], part[1]())
      else {
        outers.push(last)
        last = begun(part[1], part[0])
      }
      continue
    }
    const made = isLong(last.of.of) ? last.made : Object.freeze(last.made)
    const outer = outers.pop()
    if (outer === undefined) return made
    put(outer.made, last.key, made)
    last = outer
  }
}

/** A copy in progress, and its key in the one around it. */
const begun = (of: Copied, key: string | number) => ({ of, key, made: cloneOf(of.of), next: 0 })

const cloneOf = (of: Container): Array<unknown> | Record<string, unknown> => {
  if (Array.isArray(of)) return of.slice()
  return Object.getPrototypeOf(of) === null ? Object.assign(Object.create(null), of) : { ...of }
}

const put = (made: Array<unknown> | Record<string, unknown>, key: string | number, value: unknown): void => {
  if (Array.isArray(made)) made[Number(key)] = value
  else setOwn(made, String(key), value)
}

/** Outputs of a run, by row. */
export class Outputs {
  private readonly kept = new Map<NodeKey, SharedValue>()

  get(key: NodeKey): unknown {
    return this.kept.get(key)?.give()
  }
  has(key: NodeKey): boolean {
    return this.kept.has(key)
  }
  set(key: NodeKey, kept: SharedValue): void {
    this.kept.set(key, kept)
  }
  delete(key: NodeKey): void {
    this.kept.delete(key)
  }
  /** The same outputs, to be changed apart. */
  copy(): Outputs {
    const copied = new Outputs()
    for (const [key, kept] of this.kept) copied.set(key, kept)
    return copied
  }
}
