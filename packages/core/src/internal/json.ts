/**
 * JSON values, exactly: what goes through here comes back equal, or is refused with the path of what could not be kept.
 */

/** Anything JSON text can hold without loss. */
export type Json = null | boolean | number | string | ReadonlyArray<Json> | { readonly [key: string]: Json }

/** Where a value cannot be represented in JSON, and why. */
export interface NotJson {
  readonly path: string
  readonly problem: string
}

class NotJsonSignal {
  readonly path: string
  readonly problem: string
  constructor(path: string, problem: string) {
    this.path = path
    this.problem = problem
  }
}

const isPlainObject = (value: object): boolean => {
  const prototype = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** Assigns without ever reaching a setter: `__proto__` is a key like any other here. */
const setOwn = (target: Record<string, unknown>, key: string, value: unknown): void => {
  if (key === "__proto__") {
    Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true })
  } else {
    target[key] = value
  }
}

const describe = (value: object): string => value.constructor?.name ?? "object"

const copy = (value: unknown, path: string, ancestors: ReadonlyArray<object>): Json => {
  switch (typeof value) {
    case "string":
    case "boolean":
      return value
    case "number":
      if (Number.isFinite(value)) return value
      throw new NotJsonSignal(path, `${value} is not a JSON number`)
    case "object": {
      if (value === null) return null
      if (ancestors.includes(value)) throw new NotJsonSignal(path, "the value contains itself")
      const inside = [...ancestors, value]
      if (Array.isArray(value)) {
        return Array.from(value, (item, index) => {
          if (item === undefined) throw new NotJsonSignal(`${path}[${index}]`, "undefined in an array")
          return copy(item, `${path}[${index}]`, inside)
        })
      }
      if (!isPlainObject(value)) throw new NotJsonSignal(path, `a ${describe(value)} is not a JSON value`)
      const result: Record<string, Json> = {}
      for (const key of Object.keys(value)) {
        const item = (value as Record<string, unknown>)[key]
        if (item !== undefined) setOwn(result, key, copy(item, path === "" ? key : `${path}.${key}`, inside))
      }
      return result
    }
    default:
      throw new NotJsonSignal(path, `a ${typeof value} is not a JSON value`)
  }
}

/**
 * Copies a value into plain JSON, so that later mutations of the original do not show. Properties that are `undefined` are
 * left out, as in `JSON.stringify`; everything else that JSON would silently change (NaN, Date, Map, functions …) is refused.
 */
export const toJson = (value: unknown): { readonly json: Json } | { readonly refused: NotJson } => {
  try {
    return { json: copy(value, "", []) }
  } catch (signal) {
    if (signal instanceof NotJsonSignal) return { refused: { path: signal.path, problem: signal.problem } }
    throw signal
  }
}

/** JSON text with sorted keys: equal values give equal text. */
export const canonical = (value: Json): string => {
  if (value === null || typeof value !== "object") return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
  const object = value as { readonly [key: string]: Json }
  const members = Object.keys(object)
    .sort()
    .map((key) => `${JSON.stringify(key)}:${canonical(object[key] as Json)}`)
  return `{${members.join(",")}}`
}
