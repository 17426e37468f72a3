/**
 * Errors of command-line agents. Each says in `isRetryable` if a later attempt with the same agent may succeed; one that says no passes
 * to the next agent of the step, and fails the step at once where there is none. `resetAt` and `retryAfterMs` date the next attempt.
 */
import * as Later from "@smithers/core/Later"
import * as Duration from "effect/Duration"
import * as Schema from "effect/Schema"

/** Fields of every error: the name of the agent, and the last of what it wrote besides its events. */
const of = { agent: Schema.String, tail: Schema.optional(Schema.String) }

/** Appends the last lines of an agent to a message. */
const withTail = (message: string, tail: string | undefined): string =>
  tail === undefined || tail.trim() === "" ? message : `${message} Its last words: ${tail.trim()}`

const sentence = (text: string): string => (/[.!?]$/.test(text.trim()) ? text.trim() : `${text.trim()}.`)

/** The program is not on the search path. `install` installs it. */
export class AgentNotInstalled extends Later.TaggedError<AgentNotInstalled>()("AgentNotInstalled", {
  ...of,
  program: Schema.String,
  install: Schema.optional(Schema.String),
}) {
  readonly isRetryable = false
  override get message(): string {
    const repair = this.install === undefined ? "Install it, or name its file as `command`." : `Install it: ${this.install}`
    return `Agent "${this.agent}" needs "${this.program}", which is not installed or not on PATH. ${repair}`
  }
}

/** The program has no login or key, or the provider refused it. `login` repairs it. */
export class AgentNotLoggedIn extends Later.TaggedError<AgentNotLoggedIn>()("AgentNotLoggedIn", {
  ...of,
  detail: Schema.String,
  login: Schema.optional(Schema.String),
}) {
  readonly isRetryable = false
  override get message(): string {
    const repair = this.login === undefined ? "" : ` Log in: ${this.login}`
    return `Agent "${this.agent}" is not logged in: ${sentence(this.detail)}${repair}`
  }
}

/** The program works only in folders that it trusts. */
export class AgentFolderUntrusted extends Later.TaggedError<AgentFolderUntrusted>()("AgentFolderUntrusted", {
  ...of,
  folder: Schema.String,
  repair: Schema.optional(Schema.String),
}) {
  readonly isRetryable = false
  override get message(): string {
    const repair = this.repair ?? "Start it there once by hand, and let it trust the folder."
    return `Agent "${this.agent}" does not trust the folder ${this.folder}. ${repair}`
  }
}

/** The limit of a subscription or a plan is reached. */
export class AgentLimitReached extends Later.TaggedError<AgentLimitReached>()("AgentLimitReached", {
  ...of,
  detail: Schema.String,
  /** Epoch milliseconds at which the limit has passed; absent if the agent does not say. */
  resetAt: Schema.optional(Schema.Number),
}) {
  readonly isRetryable = true
  readonly status = 429
  override get message(): string {
    const until = this.resetAt === undefined ? "" : ` It ends at ${new Date(this.resetAt).toISOString()}.`
    return `Agent "${this.agent}" has reached its limit: ${sentence(this.detail)}${until}`
  }
}

/** The provider takes no more requests for a short time. */
export class AgentRateLimited extends Later.TaggedError<AgentRateLimited>()("AgentRateLimited", {
  ...of,
  detail: Schema.String,
  retryAfterMs: Schema.optional(Schema.Number),
}) {
  readonly isRetryable = true
  readonly status = 429
  override get message(): string {
    return `Agent "${this.agent}" sends too many requests: ${sentence(this.detail)}`
  }
}

/** The provider, or the way to it, does not work at the moment. */
export class AgentOverloaded extends Later.TaggedError<AgentOverloaded>()("AgentOverloaded", {
  ...of,
  detail: Schema.String,
  status: Schema.optional(Schema.Number),
}) {
  readonly isRetryable = true
  override get message(): string {
    return `The provider of agent "${this.agent}" is overloaded or fails: ${sentence(this.detail)}`
  }
}

/** The conversation does not fit into the context of the model. A conversation that was resumed is begun again before this is raised. */
export class AgentContextTooLong extends Later.TaggedError<AgentContextTooLong>()("AgentContextTooLong", {
  ...of,
  detail: Schema.String,
}) {
  readonly isRetryable = false
  override get message(): string {
    return `The task of agent "${this.agent}" is too long for its model: ${sentence(this.detail)}`
  }
}

/** The session to resume does not exist. The agent begins a new one, so that this is seen only where that fails too. */
export class AgentSessionUnknown extends Later.TaggedError<AgentSessionUnknown>()("AgentSessionUnknown", {
  ...of,
  session: Schema.String,
}) {
  readonly isRetryable = true
  override get message(): string {
    return `Agent "${this.agent}" does not know its session ${this.session}.`
  }
}

/** The session to begin exists. The agent resumes it, so that this is seen only where that fails too. */
export class AgentSessionInUse extends Later.TaggedError<AgentSessionInUse>()("AgentSessionInUse", {
  ...of,
  session: Schema.String,
}) {
  readonly isRetryable = true
  override get message(): string {
    return `Session ${this.session} of agent "${this.agent}" is in use.`
  }
}

/** The agent wrote nothing for too long, and was ended. */
export class AgentStalled extends Later.TaggedError<AgentStalled>()("AgentStalled", { ...of, idleMs: Schema.Number }) {
  readonly isRetryable = true
  override get message(): string {
    const span = Duration.format(Duration.millis(this.idleMs))
    return withTail(`Agent "${this.agent}" wrote nothing for ${span}, and was ended (setting \`idleTimeout\`).`, this.tail)
  }
}

/** The agent took too long, and was ended. */
export class AgentTimedOut extends Later.TaggedError<AgentTimedOut>()("AgentTimedOut", { ...of, timeoutMs: Schema.Number }) {
  readonly isRetryable = true
  override get message(): string {
    const span = Duration.format(Duration.millis(this.timeoutMs))
    return withTail(`Agent "${this.agent}" was not done after ${span}, and was ended (setting \`timeout\`).`, this.tail)
  }
}

/** The program ended without a result: by a signal, at a bound of its processes or memory, or with an exit code. */
export class AgentDied extends Later.TaggedError<AgentDied>()("AgentDied", {
  ...of,
  exitCode: Schema.optional(Schema.Number),
  signal: Schema.optional(Schema.String),
  /** The bound that it was killed at. */
  bound: Schema.optional(Schema.String),
}) {
  readonly isRetryable = true
  override get message(): string {
    const how = this.bound ?? (this.signal === undefined ? `exit code ${this.exitCode}` : this.signal)
    return withTail(`Agent "${this.agent}" ended without a result (${how}).`, this.tail)
  }
}

/** The program ended in order, and what it wrote has no result. */
export class AgentBadOutput extends Later.TaggedError<AgentBadOutput>()("AgentBadOutput", { ...of, problem: Schema.String }) {
  readonly isRetryable = true
  override get message(): string {
    return withTail(`Agent "${this.agent}" wrote no result that can be read: ${sentence(this.problem)}`, this.tail)
  }
}

/** The agent stopped at a bound that its settings give it, such as turns or money. */
export class AgentStopped extends Later.TaggedError<AgentStopped>()("AgentStopped", {
  ...of,
  reason: Schema.Literal("turns", "budget"),
  detail: Schema.String,
}) {
  readonly isRetryable = false
  override get message(): string {
    const bound = this.reason === "turns" ? "turns" : "cost"
    return `Agent "${this.agent}" stopped at its bound of ${bound}: ${sentence(this.detail)}`
  }
}

/** The program or its provider refused the request: an option, a model or an input that it does not take. */
export class AgentRequestRefused extends Later.TaggedError<AgentRequestRefused>()("AgentRequestRefused", {
  ...of,
  detail: Schema.String,
  status: Schema.optional(Schema.Number),
}) {
  readonly isRetryable = false
  override get message(): string {
    return `Agent "${this.agent}" refused the request: ${sentence(this.detail)}`
  }
}

/** Errors that a command-line agent fails with. */
export type CommandLineError =
  | AgentNotInstalled
  | AgentNotLoggedIn
  | AgentFolderUntrusted
  | AgentLimitReached
  | AgentRateLimited
  | AgentOverloaded
  | AgentContextTooLong
  | AgentSessionUnknown
  | AgentSessionInUse
  | AgentStalled
  | AgentTimedOut
  | AgentDied
  | AgentBadOutput
  | AgentStopped
  | AgentRequestRefused
