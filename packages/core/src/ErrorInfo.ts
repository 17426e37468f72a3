/**
 * What is kept of an error that a step's code has raised: enough to read it tomorrow in another process, and to go by in a retry policy
 * or a `catch`. It is made once, when the attempt fails, so that it is the same before and after a restart. Texts are cut to a size that
 * a database and a screen can bear.
 */
import * as Schema from "effect/Schema"
import { defined } from "./Struct.ts"

/** An error as it is kept: what it says, and the errors that it came from. */
export interface ErrorCause {
  /** The `_tag` of a tagged error, otherwise the name it gives itself, otherwise that of its class. */
  readonly name: string
  /** About 8,192 characters at most: of a longer one the beginning and the end. */
  readonly message: string
  /** Where it was raised: its frames, without the name and the message; about 4,096 characters at most. */
  readonly stack?: string | undefined
  /** As in `ECONNREFUSED`, or the exit code of a shell command. */
  readonly code?: string | number | undefined
  /** The status of a response (its `status`, `statusCode` or `response.status`), or with which a process ended. */
  readonly status?: number | undefined
  readonly cause?: ErrorCause | undefined
  /** The errors of an `AggregateError`, and those that were raised together with this one. */
  readonly errors?: ReadonlyArray<ErrorCause> | undefined
}

const self = Schema.suspend((): Schema.Schema<ErrorCause> => ErrorCause)

const causeFields = {
  name: Schema.String,
  message: Schema.String,
  stack: Schema.optional(Schema.String),
  code: Schema.optional(Schema.Union(Schema.String, Schema.Number)),
  status: Schema.optional(Schema.Number),
  cause: Schema.optional(self),
  errors: Schema.optional(Schema.Array(self)),
}

export const ErrorCause: Schema.Schema<ErrorCause> = Schema.Struct(causeFields).annotations({ identifier: "ErrorCause" })

/** Why a failure is not retried; {@link whyNotRetried} says it in words. */
export const NotRetried = Schema.Literal(
  "attempts",
  "off",
  "schedule",
  "while",
  "policy",
  "nonRetryable",
  "defect",
  "slip",
  "missing",
  "unstorable",
  "agent",
  "runner",
  "plan",
  "wait",
  "denied",
  "child",
  "childDenied",
  "crashLoop",
)
export type NotRetried = typeof NotRetried.Type

/** The error of a failed attempt, or of a node that failed without one. */
export const ErrorInfo = Schema.Struct({
  ...causeFields,
  /** False where running again cannot help: `NonRetryable`, defects, and slips of the step's own code. */
  retryable: Schema.Boolean,
  /** Why it is not retried; absent where it is. */
  notRetried: Schema.optional(NotRetried),
  /** What the runtime itself found wrong; absent for errors of the step's own code. */
  kind: Schema.optional(Schema.Literal("timeout", "heartbeatTimeout", "crashLoop")),
  /** The time that was exceeded. */
  limitMs: Schema.optional(Schema.Number),
  /** What was wrong with an output, one line per issue. */
  issues: Schema.optional(Schema.Array(Schema.String)),
  /** The error that the step declares by its `error`, encoded; absent where it is not declared. Told to authors decoded. */
  declared: Schema.optional(Schema.Unknown),
}).annotations({ identifier: "ErrorInfo" })
export interface ErrorInfo extends Schema.Schema.Type<typeof ErrorInfo> {}

const reasons: { readonly [K in NotRetried]: string } = {
  attempts: "its retries are used up",
  off: "its retries are turned off",
  schedule: "its retry schedule has ended",
  while: `the "while" of its "retry" does not hold for it`,
  policy: `its "retry" could not say when`,
  nonRetryable: "it was raised as NonRetryable",
  defect:
    "it is a defect: it was thrown inside an Effect, which did not fail with it. Raise it with Effect.fail, Effect.try or Effect.tryPromise to have it retried",
  slip: "an error of this class without a cause or a code is taken for a slip of the step's code, which would only repeat itself",
  missing: "an output that it needs is absent",
  unstorable: "another attempt would give again what cannot be stored",
  agent: "asking the agent again would fail alike",
  runner: "the process that runs it cannot ask agents",
  plan: "a function of the plan failed, and those are called again when the run is resumed",
  wait: "a wait that has failed is not begun again by itself",
  denied: "a denial stands",
  child: "the child run has retried what it could",
  childDenied: "a denial in the child run stands",
  crashLoop: "it was running each time the process died",
}

/** Why a failure is not retried, as the rest of a sentence that begins with "not retried, because"; `undefined` where it is retried. */
export const whyNotRetried = ({ notRetried }: Pick<ErrorInfo, "notRetried">): string | undefined =>
  notRetried === undefined ? undefined : reasons[notRetried]

/** Characters by which a text may be longer than it should: as many as it takes to say that it was cut. */
const slack = 64

/** Cuts a text to so many characters, and a few to say so: the beginning and the end of it are kept. */
export const cut = (text: string, length: number): string => {
  if (text.length <= length + slack) return text
  const tail = Math.floor(length / 4)
  // Half of a character that takes two would be another one.
  const head = text.slice(0, length - tail).replace(/[\uD800-\uDBFF]$/, "")
  const end = text.slice(-tail).replace(/^[\uDC00-\uDFFF]/, "")
  return `${head} … ${text.length - head.length - end.length} characters left out … ${end}`
}

/** Characters that are kept of a message. */
export const longestMessage = 8192

/** A message as it is kept. */
export const cutMessage = (message: string): string => cut(message, longestMessage)

/** Issues of an output that are kept, and characters of each: a list of a thousand bad items says no more than its start. */
const mostIssues = 32
const longestIssue = 512

/** Issues as they are kept. */
export const cutIssues = (issues: ReadonlyArray<string>): ReadonlyArray<string> => {
  const kept = issues.slice(0, mostIssues).map((issue) => cut(issue, longestIssue))
  const more = issues.length - mostIssues
  // What was cut before is left as it is.
  return more > 1 ? [...kept, `and ${more} more like these`] : [...kept, ...issues.slice(mostIssues)]
}

/** Characters of a message in a {@link text}, of its first error and of those that it came from, and as many errors of each kind. */
const longestFirst = 1000
const longestOther = 300
const mostShown = 5

/**
 * An error with the chain of its causes in one paragraph, for people: `Error: could not load. Caused by: Error: HTTP 401 (status 401)`.
 * A cause that says nothing new is left out. At most some thousand characters.
 */
export const text = (error: ErrorCause): string => {
  const said: Array<string> = []
  let left = 2 * mostShown
  /** `around` are the messages of the errors that this one is the cause of. */
  const say = (label: string, one: ErrorCause, around: string): void => {
    if (left-- <= 0) return
    const shown = cut(one.message, said.length === 0 ? longestFirst : longestOther)
    const whole = headline(one, shown)
    // A wrapper often repeats what it wraps.
    if (!around.includes(whole)) said.push(label + (around.includes(shown) ? headline(one, "") : whole))
    const several = one.errors ?? []
    for (const [index, inner] of several.slice(0, mostShown).entries()) say(`(${index + 1}) `, inner, "")
    if (several.length > mostShown) said.push(`(and ${several.length - mostShown} more)`)
    if (one.cause !== undefined) say("Caused by: ", one.cause, `${around} ${shown}`)
  }
  say("", error, "")
  return said.map((part, index) => (index === said.length - 1 ? part : sentence(part))).join(" ")
}

/** An error as lines for people: all of its message, what was wrong with an output, its causes, and why it is not retried. */
export const lines = (error: ErrorInfo): ReadonlyArray<string> => {
  const { cause, errors = [], issues = [], ...own } = error
  const why = whyNotRetried(error)
  return [
    headline(own),
    ...issues.map((issue) => `  ${issue}`),
    ...errors.map((one, index) => `(${index + 1}) ${text(one)}`),
    ...(cause === undefined ? [] : [`Caused by: ${text(cause)}`]),
    ...(why === undefined ? [] : [`Not retried, because ${why}.`]),
  ]
}

/** An error by itself: its name, its message, and what the message does not say of its status and code. */
const headline = ({ name, message, code, status }: ErrorCause, shown = message): string => {
  const facts = [
    ...(status === undefined || message.includes(String(status)) ? [] : [`status ${status}`]),
    ...(code === undefined || message.includes(String(code)) ? [] : [`code ${code}`]),
  ]
  return `${shown === "" ? name : `${name}: ${shown}`}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`
}

/** A text that ends as a sentence does. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

/** Causes below one another that are handed from a child run to its parent, and as many to a `catch`. */
const mostDeep = 8

/** An error as an `Error` of its name, with its code, its status and its causes: what is stored in the form that JavaScript has for it. */
export const asError = ({ name, message, stack, code, status, cause, errors }: ErrorCause): Error => {
  const error = new Error(message, cause === undefined ? {} : { cause: asError(cause) })
  // As JavaScript has it, neither is listed among the fields.
  if (name !== error.name) Object.defineProperty(error, "name", { value: name })
  Object.defineProperty(error, "stack", { value: `${name}: ${message}${stack === undefined ? "" : `\n${stack}`}` })
  return Object.assign(error, defined({ code, status, errors: errors?.map(asError) }))
}

/** An error without its stacks and those of its causes, for whoever is outside the process. */
export const withoutStacks = <A extends ErrorCause>({ stack: _, ...error }: A): Omit<A, "stack"> => ({
  ...error,
  ...(error.cause === undefined ? {} : { cause: withoutStacks(error.cause) }),
  ...(error.errors === undefined ? {} : { errors: error.errors.map(withoutStacks) }),
})

/** An error without what it was to its own attempt, and its causes likewise; to be the cause of another, or told to a `catch`. */
export const asCause = (
  { name, message, stack, code, status, cause, errors }: ErrorCause,
  options: { readonly stacks: boolean },
  depth = 0,
): ErrorCause => ({
  name,
  message,
  ...(stack === undefined || !options.stacks ? {} : { stack }),
  ...defined({ code, status }),
  ...(cause === undefined || depth === mostDeep ? {} : { cause: asCause(cause, options, depth + 1) }),
  ...(errors === undefined || depth === mostDeep ? {} : { errors: errors.map((one) => asCause(one, options, depth + 1)) }),
})
