/**
 * Lossless conversion to JSON: a value is restored equal, or rejected with the path of the part that cannot be kept.
 */
import * as Either from "effect/Either"

/** Any value that JSON text holds without loss. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** The path of a value that JSON cannot hold, and the reason. */
export interface NotJson {
  readonly path: string
  readonly problem: string
  /** `true` if the kind of the value is the reason, such as a Date, not the particular value. */
  readonly isKind: boolean
}

/**
 * Most levels of arrays and objects in a value. JSON of people and models has a dozen; SQLite's functions read a thousand, and
 * recursive code at least ten thousand. Not tunable: a lower limit could not read existing databases.
 */
const maxDepth = 500

class NotJsonSignal {
  readonly refused: NotJson
  constructor(path: string, problem: string, isKind: boolean) {
    this.refused = { path, problem, isKind }
  }
}

/** Tells whether an object is a plain one, such as a literal. */
export const isPlainObject = (value: object): value is { readonly [key: string]: unknown } => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Assigns without calling a setter, even for the key `__proto__`. */
export const setOwn = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

const describe = (value: object): string => value.constructor?.name ?? "object"

/** One copy in progress: the objects around the current value, outermost first, and its keys in them. */
class Copier {
  readonly around: Array<object> = []
  readonly keys: Array<string | number> = []

  copy(value: unknown): Json {
    switch (typeof value) {
      case "string":
      case "boolean":
        return value
      case "number":
        if (Number.isFinite(value)) return value
        return this.refuse(`${value} is not a JSON number`)
      case "object":
        return value === null ? null : this.copyObject(value)
      default:
        return this.refuse(`a ${typeof value} is not a JSON value`, true)
    }
  }

  private copyObject(value: object): Json {
    const { around, keys } = this
    const depth = around.length
    if (around.includes(value)) return this.refuse("the value contains itself")
    // The path is long and says nothing here.
    if (depth === maxDepth) throw new NotJsonSignal("", `it is nested more than ${maxDepth} levels deep`, false)
    around.push(value)
    let result: Json
    if (Array.isArray(value)) {
      result = Array.from(value, (item: unknown, index) => {
        keys[depth] = index
        return item === undefined ? this.refuse("undefined in an array") : this.copy(item)
      })
    } else if (isPlainObject(value)) {
      const object: Record<string, Json> = {}
      for (const key of Object.keys(value)) {
        keys[depth] = key
        const item = value[key]
        if (item !== undefined) setOwn(object, key, this.copy(item))
      }
      result = object
    } else {
      around.pop()
      return this.refuse(`a ${describe(value)} is not a JSON value`, true)
    }
    around.pop()
    keys.length = depth
    return result
  }

  /** The path of the current value. */
  path(): string {
    let path = ""
    for (const key of this.keys.slice(0, this.around.length)) {
      path += typeof key === "number" ? `[${key}]` : path === "" ? key : `.${key}`
    }
    return path
  }

  private refuse(problem: string, isKind = false): never {
    throw new NotJsonSignal(this.path(), problem, isKind)
  }
}

/**
 * Copies a value into plain JSON, so that later mutations of the original do not show. Properties that are `undefined` are left
 * out, as in `JSON.stringify`. Rejects values that JSON would silently change (NaN, Date, Map, functions …), that cannot be
 * read, or that are nested more than {@link maxDepth} levels deep.
 */
export const toJson = (value: unknown): Either.Either<Json, NotJson> => {
  const copier = new Copier()
  try {
    return Either.right(copier.copy(value))
  } catch (thrown) {
    if (thrown instanceof NotJsonSignal) return Either.left(thrown.refused)
    return Either.left({ path: copier.path(), problem: `it cannot be read: ${messageOf(thrown)}`, isKind: false })
  }
}

/** The message of a value thrown by a getter or a proxy, which may throw itself. */
const messageOf = (thrown: unknown): string => {
  try {
    return thrown instanceof Error ? thrown.message : String(thrown)
  } catch {
    return "an error that cannot be read either"
  }
}

/** Tells whether a value is nested deeper than JSON may be, or contains itself. Reading it may throw. */
export const isTooDeep = (value: unknown, left = maxDepth): boolean => {
  if (typeof value !== "object" || value === null) return false
  if (Array.isArray(value)) return left === 0 || value.some((item) => isTooDeep(item, left - 1))
  if (!isPlainObject(value)) return false
  if (left === 0) return true
  for (const key of Object.keys(value)) if (isTooDeep(value[key], left - 1)) return true
  return false
}

const isList = (json: Json): json is ReadonlyArray<Json> => Array.isArray(json)

/** JSON text with sorted keys: equal values give equal text. */
export const canonical = (value: Json): string => {
  if (value === null || typeof value !== "object") return JSON.stringify(value)
  const written: Array<string> = []
  // A stack of the parts to write. The depth of a run's output is that of its plan.
  const ahead: Array<string | { readonly json: Json }> = [{ json: value }]
  for (let next = ahead.pop(); next !== undefined; next = ahead.pop()) {
    if (typeof next === "string") {
      written.push(next)
      continue
    }
    const { json } = next
    if (json === null || typeof json !== "object") written.push(JSON.stringify(json))
    else if (isList(json)) {
      written.push("[")
      ahead.push("]")
      for (let index = json.length - 1; index >= 0; index--) {
        ahead.push({ json: json[index] ?? null })
        if (index > 0) ahead.push(",")
      }
    } else {
      const keys = Object.keys(json).sort()
      written.push("{")
      ahead.push("}")
      for (let index = keys.length - 1; index >= 0; index--) {
        const key = keys[index] ?? ""
        ahead.push({ json: json[key] ?? null }, `${index > 0 ? "," : ""}${JSON.stringify(key)}:`)
      }
    }
  }
  return written.join("")
}
