/**
 * Describes any thrown value. JavaScript can throw anything, and a run must not fail because of the shape of a step's error. So
 * an error without a prototype, with a `message` that is no text or throws, or of 20 MB, is described too.
 */
import * as Cause from "effect/Cause"
import * as Either from "effect/Either"
import * as Runtime from "effect/Runtime"
import { cut, type ErrorCause, longestMessage } from "./ErrorInfo.ts"
import { toJson } from "./internal/json.ts"
import * as Secrets from "./Secrets.ts"
import { defined } from "./Struct.ts"

/** Limits of a stored error, in characters: of each part, and of the whole with all its causes. */
const longest = { name: 200, message: longestMessage, stack: 4096, whole: 32_768 } as const

/** Characters that each message keeps at least, so that the innermost cause stays readable. */
const shortest = 256

/** Errors that are stored of one error with its chain of causes: more than code wraps, fewer than a list of a thousand failures. */
const mostErrors = 16

interface Reading {
  readonly seen: Set<unknown>
  left: number
}

/** Describes any thrown value. `beside` are the errors raised together with it. */
export const describe = (thrown: unknown, beside: ReadonlyArray<unknown> = []): ErrorCause => {
  const progress: Reading = { seen: new Set(), left: longest.whole }
  try {
    const { errors = [], cause, ...own } = read(unwrap(thrown).error, progress)
    const all = [...errors, ...inside(beside, progress)]
    return { ...own, ...defined({ cause }), ...(all.length === 0 ? {} : { errors: all }) }
  } catch {
    return { name: "Error", message: unreadable }
  }
}

/** The first failure of a cause, and the others beside it; `undefined` if the Effect was only interrupted. */
export const fromCause = (
  cause: Cause.Cause<unknown>,
): { readonly error: unknown; readonly isDefect: boolean; readonly beside: ReadonlyArray<unknown> } | undefined => {
  const failures = [...Cause.failures(cause)]
  const raised = [...failures, ...Cause.defects(cause)]
  if (raised.length === 0) return undefined
  // Effect wraps errors to remember their span; the original is stored.
  const [first, ...beside] = raised.map((one) => Cause.originalError(one))
  const { error, isDefect } = unwrap(first)
  return { error, isDefect: isDefect || failures.length === 0, beside }
}

/**
 * Unwraps the errors that Effect wraps around others: those of `Effect.tryPromise` and `Effect.try` without a `catch`, and of a
 * promise of `Effect.runPromise`.
 */
export const unwrap = (thrown: unknown): { readonly error: unknown; readonly isDefect: boolean } => {
  let [error, isDefect] = [thrown, false]
  for (let depth = 0; depth < mostErrors; depth++) {
    if (Cause.isUnknownException(error)) error = get(error, "error")
    else if (Runtime.isFiberFailure(error)) {
      const found = fromCause(error[Runtime.FiberFailureCauseId])
      if (found === undefined) break
      error = found.error
      isDefect ||= found.isDefect
    } else break
  }
  return { error, isDefect }
}

const inside = (several: ReadonlyArray<unknown>, progress: Reading): ReadonlyArray<ErrorCause> =>
  several.flatMap((one) => {
    const { error } = unwrap(one)
    if (progress.seen.size >= mostErrors || progress.seen.has(error)) return []
    return [read(error, progress)]
  })

const read = (thrown: unknown, progress: Reading): ErrorCause => {
  progress.seen.add(thrown)
  const take = (text: string, length: number): string => {
    // Before the cut, which might leave half of a secret.
    const taken = cut(Secrets.text(text), Math.max(shortest, Math.min(length, progress.left)))
    progress.left -= taken.length
    return taken
  }
  if (typeof thrown !== "object" || thrown === null) return { name: "Error", message: take(asText(thrown), longest.message) }
  const full = messageOf(thrown)
  const name = cut(Secrets.text(nameOf(thrown)), longest.name)
  const message = take(full, longest.message)
  const frames = framesOf(get(thrown, "stack"), full)
  const stack = frames === undefined || progress.left <= 0 ? undefined : take(frames, longest.stack)
  const [code, status] = [codeOf(thrown), statusOf(thrown)]
  const from = get(thrown, "cause") ?? undefined
  const [cause] = inside(from === undefined ? [] : [from], progress)
  const errors = inside(severalOf(thrown), progress)
  return {
    name,
    message,
    ...defined({ stack, code, status, cause }),
    ...(errors.length === 0 ? {} : { errors }),
  }
}

/** Reads a field of a foreign object, whose getter may throw. */
export const get = (target: unknown, field: string | symbol): unknown => {
  if ((typeof target !== "object" && typeof target !== "function") || target === null) return undefined
  try {
    return Reflect.get(target, field)
  } catch {
    return undefined
  }
}

const builtIn: ReadonlySet<unknown> = new Set([
  "Error",
  "TypeError",
  "ReferenceError",
  "RangeError",
  "SyntaxError",
  "EvalError",
  "URIError",
  "AggregateError",
])

/** The `_tag` of a tagged error, otherwise its `name`, otherwise the name of its class. */
export const nameOf = (thrown: unknown): string => {
  const [tag, name, named] = [get(thrown, "_tag"), get(thrown, "name"), get(get(thrown, "constructor"), "name")]
  // A subclass that sets no name inherits the one of its base class.
  const isInherited = builtIn.has(name) && thrown instanceof Error
  return [tag, isInherited ? undefined : name, named, name].find(isWord) ?? "Error"
}

const slips = new Set(["TypeError", "ReferenceError"])

/**
 * Tells whether an error is probably a slip of the step's own code, which another attempt would repeat. Slips are a `TypeError`
 * or `ReferenceError`, not of a subclass, without cause or code: with either it comes from outside, such as a broken connection
 * of `fetch`. A `SyntaxError` or `RangeError` comes from data, such as an error page parsed as JSON.
 */
export const isSlip = (thrown: unknown): boolean =>
  thrown instanceof Error && slips.has(nameOf(thrown)) && get(thrown, "cause") === undefined && get(thrown, "code") === undefined

const codeOf = (thrown: object): string | number | undefined => {
  // The numbers of a DOMException are legacy and say less than its name.
  if (typeof DOMException !== "undefined" && thrown instanceof DOMException) return undefined
  const code = [get(thrown, "code"), get(thrown, "exitCode")].find((one) => isWord(one) || isNumber(one))
  return isText(code) ? cut(Secrets.text(code), longest.name) : isNumber(code) ? code : undefined
}

const statusOf = (thrown: object): number | undefined =>
  [get(thrown, "status"), get(thrown, "statusCode"), get(get(thrown, "response"), "status")].find(isNumber)

/** The errors inside an aggregate. */
const severalOf = (thrown: object): ReadonlyArray<unknown> => {
  const errors = get(thrown, "errors")
  if (thrown instanceof Error && Array.isArray(errors)) return errors.slice(0, mostErrors)
  return [get(thrown, "error"), get(thrown, "suppressed")].filter(() => nameOf(thrown) === "SuppressedError")
}

/** Characters after the message in which the first stack frame is looked for. */
const longestHeader = 1024

/** The frames of a stack, without the leading name and message. */
const framesOf = (stack: unknown, message: string): string | undefined => {
  if (!isText(stack)) return undefined
  const at = message === "" ? 0 : stack.indexOf(message)
  const from = at === -1 ? 0 : at + message.length
  const begin = stack.slice(from, from + longestHeader).search(/^[ \t]{1,16}at /m)
  return begin === -1 ? undefined : stack.slice(from + begin)
}

const isText = (value: unknown): value is string => typeof value === "string"

const isWord = (value: unknown): value is string => isText(value) && value !== ""

const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value)

/** Fields that are stored under their own names and so are left out of the message. */
const told = new Set(["_tag", "name", "message", "stack", "cause", "errors", "code", "status", "line", "column", "sourceURL"])

/** The message of an error, or its fields as JSON if it has none. */
const messageOf = (thrown: object): string => {
  try {
    const message = "message" in thrown ? thrown.message : undefined
    if (isWord(message)) return message
    if (thrown instanceof Error) {
      const fields = Object.entries(thrown).filter(
        ([key, value]) => !told.has(key) && value !== undefined && Either.isRight(toJson(value)),
      )
      return fields.length === 0 ? "" : asText(Object.fromEntries(fields))
    }
    const [status, statusText] = [
      "status" in thrown ? thrown.status : undefined,
      "statusText" in thrown ? thrown.statusText : undefined,
    ]
    return typeof status === "number" && isText(statusText) ? `HTTP status ${status} ${statusText}`.trim() : asText(thrown)
  } catch {
    return unreadable
  }
}

const unreadable = "an error that could not be read"

const asText = (value: unknown): string => {
  try {
    const copied = typeof value === "object" && value !== null ? toJson(value) : undefined
    return copied !== undefined && Either.isRight(copied) ? JSON.stringify(copied.right) : String(value)
  } catch {
    return unreadable
  }
}

/** The type of a value in a few words, for messages. */
export const show = (value: unknown): string => {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return "an array"
  return typeof value === "object" ? "an object" : `a ${typeof value}`
}
