/**
 * Agents that are programs. One call is one process under the sandbox of the runtime, with the network and its own login besides;
 * its conversation is kept by its id, and the next call of the step resumes it, also in another attempt or process.
 */
import { mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import {
  type Agent,
  type AgentBounds,
  type AgentReply,
  type AgentRequest,
  type AgentUsage,
  boundsKey,
  writesFilesKey,
} from "@smithers/core/Agent"
import { type AgentSession, type ConversationLog, type JournalError, noLog } from "@smithers/core/AgentJournal"
import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import { type InvalidSetting, NonRetryable } from "@smithers/core/Errors"
import type { Policy } from "@smithers/core/Isolation"
import * as Millis from "@smithers/core/Millis"
import * as SecretSettings from "@smithers/core/SecretSettings"
import * as Settings from "@smithers/core/Settings"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import type * as Scope from "effect/Scope"
import * as ToolSession from "../ToolSession.ts"
import { runnerOf } from "../tools/bash.ts"
import * as CliProcess from "./CliProcess.ts"
import type { AgentEvent, Dialect, Outcome, Taken, Talk, Turn } from "./Dialect.ts"
import * as Errors from "./Errors.ts"
import * as Program from "./Program.ts"
import * as Recorder from "./Recorder.ts"
import * as Verdict from "./Verdict.ts"

/** Input of any workflow. `any`, since its fields must be usable without naming its type. */
type AnyInput = ReturnType<typeof JSON.parse>

/** Settings of all command-line agents. */
export interface CommonSettings {
  /** Name of the agent in plans, records and errors. Default: that of the program, such as `"claude-code"`. */
  readonly name?: string | undefined
  /** The program, by its name on PATH or its file. */
  readonly command?: string | undefined
  /** System prompt: a text, or a function of the decoded input of the run, evaluated at every call. */
  readonly instructions?: string | ((input: AnyInput) => string | Promise<string>) | undefined
  /** Directory below the root of the step in which it works. Default: the root. */
  readonly cwd?: string | undefined
  /** Variables besides those that the program is known to need. */
  readonly env?: { readonly [name: string]: string | undefined } | undefined
  /** Paths outside the root that it may read, such as a tool chain. Default: none besides its program and PATH. */
  readonly readable?: ReadonlyArray<string> | undefined
  /** Paths outside the root that it may write, such as a cache. Default: none besides its own login and conversations. */
  readonly writable?: ReadonlyArray<string> | undefined
  /**
   * The network of the program and its tools: all of it, or hosts by name besides those of its provider. Default: the list of the
   * step, otherwise `"all"`.
   */
  readonly network?: "all" | ReadonlyArray<string> | undefined
  /** Time without progress after which it is ended. Default: 15 minutes. */
  readonly idleTimeout?: Millis.DurationLike | undefined
  /** Time after which it is ended. Default: 2 hours. */
  readonly timeout?: Millis.DurationLike | undefined
  /** Time that it may go on after its result. Default: 10 seconds. */
  readonly linger?: Millis.DurationLike | undefined
  /** Resumes the conversation of an earlier attempt or call of the step. Default: `true`. */
  readonly resume?: boolean | undefined
  /** Receives what happens in the agent, as it happens. */
  readonly onEvent?: ((event: AgentEvent) => void) | undefined
}

/** An agent that is a program. */
export interface CommandLineAgent extends Agent {
  readonly name: string
  readonly wantsContext: true
  readonly [writesFilesKey]: true
  readonly [boundsKey]: AgentBounds
  generate(request: AgentRequest): Effect.Effect<AgentReply, CommandLineFailure>
}

/** Errors of a call. */
export type CommandLineFailure = Errors.CommandLineError | CliProcess.NotStarted | NonRetryable | JournalError

/** The names of the settings of all command-line agents. */
export const commonNames: Settings.Names<CommonSettings> = {
  ...{ name: true, command: true, instructions: true, cwd: true, env: true, readable: true, writable: true, network: true },
  ...{ idleTimeout: true, timeout: true, linger: true, resume: true, onEvent: true },
}

const timesOf = (settings: CommonSettings): Either.Either<CliProcess.Times, InvalidSetting> =>
  Either.gen(function* () {
    const { idleMs, totalMs, lingerMs, graceMs } = CliProcess.usualTimes
    return {
      idleMs: yield* Settings.duration("idleTimeout", settings.idleTimeout, idleMs),
      totalMs: yield* Settings.duration("timeout", settings.timeout, totalMs),
      lingerMs: yield* Settings.duration("linger", settings.linger, lingerMs),
      graceMs,
    }
  })

/** Checks settings that may come from untyped code. Throws `InvalidSetting`. */
const checked = <S extends CommonSettings>(of: string, settings: S, names: Settings.Names<S>): CliProcess.Times =>
  Either.getOrThrowWith(
    Either.gen(function* () {
      yield* Settings.only(of, settings, names)
      for (const name of ["name", "command", "cwd"] as const) {
        const value = settings[name]
        if (value !== undefined) yield* Settings.filled(name, value, "a text that is not empty")
      }
      const { instructions } = settings
      if (typeof instructions !== "function") yield* Settings.text("instructions", instructions)
      yield* Settings.texts("readable", settings.readable)
      yield* Settings.texts("writable", settings.writable)
      if (settings.network !== "all") yield* Settings.texts("network", settings.network)
      return yield* timesOf(settings)
    }),
    (error) => error,
  )

/** Makes an agent of a dialect. Throws `InvalidSetting` for settings that are invalid or unknown. */
export const make = <S extends CommonSettings>(
  of: string,
  settings: S,
  names: Settings.Names<S>,
  dialect: Dialect,
): CommandLineAgent => {
  const times = checked(of, settings, names)
  const name = settings.name ?? dialect.name
  SecretSettings.addNamed(settings.env)
  const agent: Configured = { name, settings, dialect, times, sessions: new Map() }
  return {
    name,
    wantsContext: true,
    [writesFilesKey]: true,
    [boundsKey]: { silence: times.idleMs, programTime: times.totalMs },
    identity: async (input) => {
      const { instructions } = settings
      const told = typeof instructions === "function" ? await instructions(input) : instructions
      return { program: dialect.name, ...settings, onEvent: undefined, instructions: told }
    },
    generate: (request) => {
      // Read at once: the session is of the call that is made now.
      const tools = Either.try({
        try: () => {
          const session = ToolSession.current(name)
          const runner = runnerOf(session, name)
          const problem = unheld(settings, session, runner)
          if (problem !== undefined) throw new Error(problem)
          return { session, runner }
        },
        catch: (thrown) => new NonRetryable({ message: Thrown.describe(thrown).message }),
      })
      return Effect.flatMap(tools, ({ session, runner }) => answer(agent, request, session, runner))
    },
  }
}

/** Rights that nothing would hold the program to; `undefined` if there are none. */
const unheld = (
  { network }: CommonSettings,
  { rights }: ToolSession.ToolSession,
  runner: CommandRunnerShape,
): string | undefined => {
  if (rights.allowTools !== undefined)
    return "This step lists tools in `allowTools`, and a command-line agent has tools of its own, which that does not reach. Leave it out, and restrict the agent by its settings."
  if (typeof network === "object" && !runner.isBoundary)
    return `The agent lists hosts in \`network\`, and isolation "${runner.isolation}" holds it to nothing: nothing was started. A runtime with isolation "bubblewrap", on macOS "sandbox-runtime", runs it.`
  return undefined
}

/** An agent with its settings. */
interface Configured {
  readonly name: string
  readonly settings: CommonSettings
  readonly dialect: Dialect
  readonly times: CliProcess.Times
  /** Conversations of the latest attempts, for corrections. */
  readonly sessions: Map<string, AgentSession>
}

/** Attempts that are at work at once in one process are fewer. */
const mostSessions = 1000

/** The attempt that a call is of. */
const attemptOf = ({ context }: AgentRequest): string =>
  JSON.stringify([context?.runId, context?.stepId, context?.iteration, context?.attempt])

/** Conversations that one call may begin: its first, and one more where that is unknown, in use or too long. */
const mostTries = 3

/** Answers a call in the conversation that it belongs to. */
const answer = (agent: Configured, request: AgentRequest, tools: ToolSession.ToolSession, runner: CommandRunnerShape) =>
  Effect.gen(function* () {
    const { name, settings, dialect, sessions } = agent
    const log = request.context?.log ?? noLog
    const attempt = attemptOf(request)
    const isCorrection = request.messages !== undefined
    const earlier = settings.resume === false ? undefined : log.session
    let kept = isCorrection ? (sessions.get(attempt) ?? earlier) : earlier
    if (kept === undefined) sessions.delete(attempt)
    else sessions.set(attempt, kept)
    let isNew = false
    for (let tries = 1; ; tries++) {
      if (kept === undefined && dialect.choosesSession) {
        kept = { id: crypto.randomUUID() }
        isNew = true
      }
      const keep = (session: AgentSession) =>
        Effect.suspend(() => {
          kept = session
          sessions.set(attempt, session)
          for (const oldest of sessions.keys()) if (sessions.size > mostSessions) sessions.delete(oldest)
          return log.keepSession(session)
        })
      // Kept before it begins: the process may die in the middle of it.
      if (kept !== undefined && isNew) yield* keep(kept)
      const conversation = { session: kept, isNew, keep, log }
      const said = yield* Effect.either(Effect.scoped(converse(agent, request, tools, runner, conversation)))
      if (Either.isRight(said)) return said.right
      const error = said.left
      if (tries === mostTries) return yield* Effect.fail(error)
      const isResumed = kept !== undefined && !isNew
      if (error._tag === "AgentSessionInUse" && isNew) isNew = false
      else if (
        (error._tag === "AgentSessionUnknown" || error._tag === "AgentContextTooLong" || error._tag === "AgentSessionInUse") &&
        isResumed
      ) {
        kept = undefined
        sessions.delete(attempt)
        yield* log.append({ kind: "note", text: `A new conversation begins. ${error.message}` })
      } else return yield* Effect.fail(error)
      yield* Effect.logDebug(`agent ${name}: ${error.message}`)
    }
  })

/** A conversation to begin or to resume. */
interface Conversation {
  readonly session: AgentSession | undefined
  readonly isNew: boolean
  readonly keep: (session: AgentSession) => Effect.Effect<void, JournalError>
  readonly log: ConversationLog
}

const converse = (
  agent: Configured,
  request: AgentRequest,
  tools: ToolSession.ToolSession,
  runner: CommandRunnerShape,
  { session, isNew, keep, log }: Conversation,
): Effect.Effect<AgentReply, CommandLineFailure, Scope.Scope> =>
  Effect.gen(function* () {
    const { name, settings, dialect, times } = agent
    const { context } = request
    const cwd = resolve(tools.files.root, settings.cwd ?? ".")
    const now = yield* Millis.now
    const facts = { agent: name, login: dialect.login, folder: cwd, now }
    const instructions = yield* instructionsOf(settings, context?.input)
    const isResumed = session !== undefined && !isNew
    const files = filesIn(yield* directory)
    const schema = context?.outputSchema
    const environment = (own: Talk["env"]) =>
      Program.environmentOf(process.env, dialect.variables, { ...dialect.env, ...own }, settings.env ?? {})
    const turn: Turn = {
      prompt: promptOf(request, isResumed, dialect.takesInstructions || isResumed ? undefined : instructions),
      instructions: dialect.takesInstructions ? instructions : undefined,
      session: session === undefined ? undefined : { id: session.id, isNew },
      schema: schema?.type === "object" ? schema : undefined,
      ...{ cwd, facts, file: files.write, env: environment({}) },
      isReadOnly: tools.rights.isReadOnly === true,
      isSandboxed: runner.isolation !== "none",
    }
    const talk = dialect.begin(turn)
    const env = environment(talk.env)
    const program = yield* programOf(agent, env, tools.files.root)
    const recorder = Recorder.make({ log, keep, session, onEvent: settings.onEvent })
    const ended = yield* CliProcess.run({
      ...{ runner, times },
      argv: [program, ...talk.args],
      policy: policyOf(agent, tools, env, program, { cwd, readable: files.directory() }),
      ...defined({ stdin: talk.stdin, textLength: talk.textLength }),
      ...defined({ opening: talk.opening?.map((message) => JSON.stringify(message)) }),
      closing: () => (talk.closing?.() ?? []).map((message) => JSON.stringify(message)),
      onMessage: (message) => take(talk, message, recorder),
    })
    const late = Verdict.overdue(name, ended, times)
    const verdict = late === undefined ? talk.verdict(ended) : Either.left(late)
    yield* recorder.finish(verdict)
    const outcome = yield* verdict
    const usage = usageOf(outcome, isResumed ? session.totals : undefined)
    if (outcome.totals !== undefined) {
      const id = recorder.sessionId() ?? session?.id
      if (id !== undefined) yield* keep({ id, totals: outcome.totals })
    }
    yield* recorder.charge(outcome.model, usage)
    return {
      text: outcome.text,
      usage,
      ...defined({ output: outcome.output, finishReason: outcome.finishReason }),
      response: { modelId: outcome.model },
    }
  })

/** Takes a message: stores what it tells, and answers it. */
const take = (
  talk: Talk,
  message: CliProcess.Message,
  recorder: Recorder.Recorder,
): Effect.Effect<CliProcess.Progress, JournalError | NonRetryable> =>
  Effect.gen(function* () {
    const { events, send }: Taken = yield* Effect.try({
      try: () => talk.onMessage(message),
      catch: (thrown) => new NonRetryable({ message: Thrown.describe(thrown).message, cause: thrown }),
    })
    for (const event of events) yield* recorder.record(event)
    return {
      isProgress: events.length === 0 || events.some(({ type }) => type !== "waiting"),
      isDone: events.some(({ type }) => type === "result"),
      ...defined({ send: send?.map((answer) => JSON.stringify(answer)) }),
    }
  })

const instructionsOf = ({ instructions }: CommonSettings, input: unknown): Effect.Effect<string | undefined, NonRetryable> =>
  typeof instructions !== "function"
    ? Effect.succeed(instructions)
    : Effect.tryPromise({
        try: async () => await instructions(input),
        catch: (cause) => new NonRetryable({ message: `its "instructions" failed: ${Thrown.describe(cause).message}`, cause }),
      })

const resumption =
  "You have worked on this task before, and were interrupted. Look at what is already done, and go on from there. What you have done must not be done twice."

/** The prompt of a turn: what the conversation does not hold yet. */
const promptOf = ({ prompt, messages }: AgentRequest, isResumed: boolean, instructions: string | undefined): string => {
  const preamble = instructions === undefined ? "" : `${instructions}\n\n`
  if (isResumed) return messages === undefined ? `${resumption}\n\n${prompt}` : prompt
  if (messages === undefined) return `${preamble}${prompt}`
  // Of a conversation that the program does not have.
  const told = messages.map(({ role, content }) => `${role === "assistant" ? "You replied" : "The request"}:\n${content}`)
  return `${preamble}${told.join("\n\n")}`
}

/** A directory for files of one call, which is removed with it. */
const directory: Effect.Effect<() => string, never, Scope.Scope> = Effect.gen(function* () {
  let made: string | undefined
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      if (made !== undefined) rmSync(made, { recursive: true, force: true })
    }),
  )
  return () => {
    made ??= realpathSync(mkdtempSync(join(tmpdir(), "smithers-agent-")))
    return made
  }
})

/** Files that the program may read. */
const filesIn = (open: () => string) => {
  let own: string | undefined
  return {
    write: (name: string, content: string): string => {
      own = open()
      const file = join(own, name)
      writeFileSync(file, content, { mode: 0o600 })
      return file
    },
    directory: (): ReadonlyArray<string> => (own === undefined ? [] : [own]),
  }
}

const programOf = ({ name, settings, dialect }: Configured, env: { readonly [name: string]: string }, root: string) => {
  const program = settings.command ?? dialect.program
  const found = Program.find(program, env.PATH ?? "", root)
  return found === undefined
    ? Effect.fail(new Errors.AgentNotInstalled({ agent: name, program, ...defined({ install: dialect.install }) }))
    : Effect.succeed(found)
}

/**
 * The rights of the program: the root as the step has it, its own login and conversations, the network that it needs for its
 * provider, and nothing else of the home of the user.
 */
const policyOf = (
  { settings, dialect }: Configured,
  { files, rights }: ToolSession.ToolSession,
  env: { readonly [name: string]: string },
  program: string,
  added: { readonly cwd: string; readonly readable: ReadonlyArray<string> },
): Policy => {
  const asked = settings.network ?? rights.network ?? "all"
  const hosts = asked === "none" ? [] : asked
  return {
    root: files.root,
    cwd: added.cwd,
    isReadOnly: rights.isReadOnly,
    network: hosts === "all" ? "all" : [...new Set([...dialect.hosts, ...hosts])],
    env: { ...rights.env, ...env },
    readable: [...Program.readable(program), ...(rights.readable ?? []), ...(settings.readable ?? []), ...added.readable],
    writable: [...Program.state(dialect.state(Program.homeOf(env), env)), ...(settings.writable ?? [])],
    hidden: ToolSession.hiddenOf(rights),
  }
}

/** The usage of one call. Programs count whole conversations, also those that go on: what was counted before is not of this call. */
const usageOf = ({ usage, totals }: Outcome, before: AgentSession["totals"]): AgentUsage => {
  const of = (name: "inputTokens" | "outputTokens" | "costUsd"): number | undefined => {
    const total = totals?.[name]
    if (total === undefined) return undefined
    const earlier = before?.[name] ?? 0
    // A count that has become smaller was begun again.
    return total >= earlier ? total - earlier : total
  }
  const [inputTokens, outputTokens, costUsd] = [
    usage?.inputTokens ?? of("inputTokens"),
    usage?.outputTokens ?? of("outputTokens"),
    of("costUsd"),
  ]
  const counted = inputTokens === undefined || outputTokens === undefined ? undefined : inputTokens + outputTokens
  return defined({ inputTokens, outputTokens, totalTokens: usage?.totalTokens ?? counted, costUsd: usage?.costUsd ?? costUsd })
}
