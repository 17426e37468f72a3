/**
 * The stored form of an error that a step raised. It is readable later in another process, and enough for a retry policy or a
 * `catch` to decide by. It is made once, when the attempt fails, so it is the same before and after a restart. Texts are cut to
 * a size that a database and a screen can hold.
 */
import * as Schema from "effect/Schema"
import * as Secrets from "./Secrets.ts"
import { defined } from "./Struct.ts"

/** A stored error, with its chain of causes. */
export interface ErrorCause {
  /** The `_tag` of a tagged error, otherwise its `name`, otherwise the name of its class. */
  readonly name: string
  /** About 8,192 characters at most; a longer message keeps its beginning and end. */
  readonly message: string
  /** The stack frames, without name and message; about 4,096 characters at most. */
  readonly stack?: string | undefined
  /** A code such as `ECONNREFUSED`, or the exit code of a shell command. */
  readonly code?: string | number | undefined
  /** The status of a response (its `status`, `statusCode` or `response.status`), or of a process that ended. */
  readonly status?: number | undefined
  readonly cause?: ErrorCause | undefined
  /** The errors of an `AggregateError`, and those raised together with this one. */
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

/** The reason a failure is not retried; {@link whyNotRetried} puts it in words. */
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
  "budget",
  "worktree",
)
export type NotRetried = typeof NotRetried.Type

/** The error of a failed attempt, or of a node that failed without one. */
export const ErrorInfo = Schema.Struct({
  ...causeFields,
  /** `false` if another attempt cannot help: `NonRetryable`, defects, and slips of the step's own code. */
  retryable: Schema.Boolean,
  /** The reason it is not retried; absent if it is. */
  notRetried: Schema.optional(NotRetried),
  /** The kind of an error that the runtime itself raised; absent for errors of the step's own code. */
  kind: Schema.optional(Schema.Literal("timeout", "heartbeatTimeout", "crashLoop")),
  /** The timeout that was exceeded, in milliseconds. */
  limitMs: Schema.optional(Schema.Number),
  /** The issues of an invalid output, one per line. */
  issues: Schema.optional(Schema.Array(Schema.String)),
  /**
   * The error that the step's `error` schema declares, encoded; absent if it is not declared. Authors' functions get it
   * decoded.
   */
  declared: Schema.optional(Schema.Unknown),
}).annotations({ identifier: "ErrorInfo" })
export interface ErrorInfo extends Schema.Schema.Type<typeof ErrorInfo> {}

const reasons: { readonly [K in NotRetried]: string } = {
  attempts: "its retries are used up",
  off: "its retries are turned off",
  schedule: "its retry schedule has ended",
  while: `the "while" of its "retry" does not hold for it`,
  policy: `its "retry" failed to give a time`,
  nonRetryable: "it was raised as NonRetryable",
  defect:
    "it is a defect: it was thrown inside an Effect, which did not fail with it. Raise it with Effect.fail, Effect.try or Effect.tryPromise to have it retried",
  slip: "an error of this class without a cause or a code is treated as a slip of the step's code, which another attempt would repeat",
  missing: "an output that it needs is absent",
  unstorable: "another attempt would give the same value, which cannot be stored",
  agent: "another call of the agent would fail the same way",
  runner: "the process that runs it cannot call agents",
  plan: "a function of the plan failed, and those are called again when the run is resumed",
  wait: "a failed wait does not start again by itself",
  denied: "a denial holds until the node is retried",
  child: "the child run has retried what it could",
  childDenied: "a denial in the child run holds until its node is retried",
  crashLoop: "it was running each time the process died",
  budget: "a budget that is used up holds until its limit is raised",
  worktree: "another attempt would find the same; repair it, and resume the run",
}

/** The reason a failure is not retried, to complete "not retried, because …"; `undefined` if it is retried. */
export const whyNotRetried = ({ notRetried }: Pick<ErrorInfo, "notRetried">): string | undefined =>
  notRetried === undefined ? undefined : reasons[notRetried]

/** Characters that a text may exceed its limit by before it is cut: about the length of the notice. */
const slack = 64

/**
 * Cuts a text to about `length` characters. Its beginning and end are kept, with a notice between them. Secrets are replaced before, since a cut may leave half of
 * one, which cannot be found any more.
 */
export const cut = (whole: string, length: number): string => {
  if (whole.length <= length + slack) return whole
  const text = Secrets.text(whole)
  if (text.length <= length + slack) return text
  const tail = Math.floor(length / 4)
  // Half of a surrogate pair would be another character.
  const head = text.slice(0, length - tail).replace(/[\uD800-\uDBFF]$/, "")
  const end = text.slice(-tail).replace(/^[\uDC00-\uDFFF]/, "")
  return `${head} … ${text.length - head.length - end.length} characters left out … ${end}`
}

/** Longest stored message, in characters. */
export const longestMessage = 8192

/** Cuts a message to its stored length. */
export const cutMessage = (message: string): string => cut(message, longestMessage)

/** Limits of stored issues: their number, and characters of each. The first of a thousand bad items are as telling as all. */
const mostIssues = 32
const longestIssue = 512

/** Cuts issues to their stored number and length. */
export const cutIssues = (issues: ReadonlyArray<string>): ReadonlyArray<string> => {
  const kept = issues.slice(0, mostIssues).map((issue) => cut(Secrets.text(issue), longestIssue))
  const more = issues.length - mostIssues
  // A list that was cut before stays as it is.
  return more > 1 ? [...kept, `and ${more} more like these`] : [...kept, ...issues.slice(mostIssues)]
}

/** Limits of {@link text}: characters of the first message and of each further one, and errors of each kind. */
const longestFirst = 1000
const longestOther = 300
const mostShown = 5

/**
 * Formats an error and its chain of causes as one paragraph: `Error: could not load. Caused by: Error: HTTP 401 (status 401)`.
 * Leaves out causes that add nothing. A few thousand characters at most.
 */
export const text = (error: ErrorCause): string => {
  const said: Array<string> = []
  let left = 2 * mostShown
  /** `around`: the messages of the errors that this one caused. */
  const say = (label: string, one: ErrorCause, around: string): void => {
    if (left-- <= 0) return
    const shown = cut(one.message, said.length === 0 ? longestFirst : longestOther)
    const whole = headline(one, shown)
    // Many wrappers repeat the message of their cause.
    if (!around.includes(whole)) said.push(label + (around.includes(shown) ? headline(one, "") : whole))
    const several = one.errors ?? []
    for (const [index, inner] of several.slice(0, mostShown).entries()) say(`(${index + 1}) `, inner, "")
    if (several.length > mostShown) said.push(`(and ${several.length - mostShown} more)`)
    if (one.cause !== undefined) say("Caused by: ", one.cause, `${around} ${shown}`)
  }
  say("", error, "")
  return said.map((part, index) => (index === said.length - 1 ? part : sentence(part))).join(" ")
}

/** Formats an error as lines: its full message, the issues of an invalid output, its causes, and the reason it is not retried. */
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

/** Formats name and message of an error, and its status and code unless the message has them. */
const headline = ({ name, message, code, status }: ErrorCause, shown = message): string => {
  const facts = [
    ...(status === undefined || message.includes(String(status)) ? [] : [`status ${status}`]),
    ...(code === undefined || message.includes(String(code)) ? [] : [`code ${code}`]),
  ]
  return `${shown === "" ? name : `${name}: ${shown}`}${facts.length === 0 ? "" : ` (${facts.join(", ")})`}`
}

/** Ends a text with a full stop, unless it ends as a sentence already. */
export const sentence = (text: string): string => (/[.!?]$/.test(text) ? text : `${text}.`)

/** Longest chain of causes passed from a child run to its parent, or to a `catch`. */
const mostDeep = 8

/** Rebuilds an `Error` from its stored form, with name, code, status and causes. */
export const asError = ({ name, message, stack, code, status, cause, errors }: ErrorCause): Error => {
  const error = new Error(message, cause === undefined ? {} : { cause: asError(cause) })
  // JavaScript keeps both non-enumerable.
  if (name !== error.name) Object.defineProperty(error, "name", { value: name })
  Object.defineProperty(error, "stack", { value: `${name}: ${message}${stack === undefined ? "" : `\n${stack}`}` })
  return Object.assign(error, defined({ code, status, errors: errors?.map(asError) }))
}

/** Removes the stacks of an error and its causes, for clients outside the process. */
export const withoutStacks = <A extends ErrorCause>({ stack: _, ...error }: A): Omit<A, "stack"> => ({
  ...error,
  ...(error.cause === undefined ? {} : { cause: withoutStacks(error.cause) }),
  ...(error.errors === undefined ? {} : { errors: error.errors.map(withoutStacks) }),
})

/**
 * Removes the fields that concern only the error's own attempt, so that it can be the cause of another error or be passed to a
 * `catch`.
 */
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
