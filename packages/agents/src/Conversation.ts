/**
 * The conversation of one call of an agent, recorded as it happens. Each reply of the model is stored before its tools run, each
 * tool call before it is made and once its outcome is known. An attempt that continues one which was cut short repeats the call of
 * the agent and is answered from the records, until they end.
 *
 * A conversation is continued only if what it is about is the same: the request (prompt, instructions, model, tools), and the
 * workspace as its last call left it. Otherwise a new one begins, which is told of calls whose effects may stand.
 */
import { AsyncLocalStorage } from "node:async_hooks"
import type * as Journal from "@smithers/core/AgentJournal"
import { AttemptSuspended, type ConversationLog, type JournalError } from "@smithers/core/AgentJournal"
import * as Budget from "@smithers/core/Budget"
import type { Usage } from "@smithers/core/Charges"
import * as Charges from "@smithers/core/Charges"
import type { Json } from "@smithers/core/Codec"
import * as Digest from "@smithers/core/Digest"
import { BudgetExceeded, NonRetryable } from "@smithers/core/Errors"
import * as Limits from "@smithers/core/Limits"
import * as Millis from "@smithers/core/Millis"
import * as Secrets from "@smithers/core/Secrets"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import * as Deferred from "effect/Deferred"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as FiberId from "effect/FiberId"
import * as Runtime from "effect/Runtime"
import * as Schema from "effect/Schema"
import * as DoomLoop from "./DoomLoop.ts"
import { decode, encode } from "./internal/richJson.ts"
import * as Spending from "./internal/spending.ts"
import type * as Prices from "./Prices.ts"
import * as Results from "./Results.ts"
import type * as ToolRules from "./ToolRules.ts"
import type { ToolSession } from "./ToolSession.ts"
import * as WorkspaceIdentity from "./WorkspaceIdentity.ts"

/** The request of a conversation: everything its replies depend on. */
export interface Request {
  /** Digest of prompt, instructions, model, tools and settings. */
  readonly digest: string
  /** The prompt, for the transcript. */
  readonly prompt: string
  /** Rules of the agent's tools, by name. */
  readonly rulesOf: (tool: string) => ToolRules.ToolRules
}

/** A reply of a model. */
export interface Reply {
  /** JSON by which it is repeated. */
  readonly text: string
  /** Tool calls in it that are ours to make, in order. */
  readonly calls: ReadonlyArray<{ readonly callId: string; readonly tool: string }>
  readonly model?: string | undefined
  readonly usage: Usage
}

/** A call of a model. */
export interface ModelCall {
  readonly model: string | undefined
  /** The request as text, by whose length its tokens are estimated. */
  readonly text: () => string
  /** Most tokens of the reply, if it has a limit. */
  readonly maxOutputTokens?: number | undefined
}

/** A call of a tool. */
export interface Call {
  readonly callId: string
  readonly tool: string
  readonly input: unknown
  readonly rules: ToolRules.ToolRules
  /** `true` if the agent wants a person to approve it, besides the rules. */
  readonly isAsked: boolean
  /** `true` to cut a result that is too long for the messages of a model. */
  readonly isCut: boolean
  readonly execute: () => unknown
}

/** The end of a conversation that gave no reply. */
export interface Failure {
  readonly reason: string
  readonly [field: string]: Json
}

export interface Conversation {
  /**
   * Begins or continues it, once. Resolves with a text that the model must be told besides the prompt, if a former conversation was
   * broken off and effects of its calls may stand. Rejects with the recorded failure of a conversation that ended with one.
   */
  readonly begin: (request: Request) => Promise<{ readonly preface: string | undefined }>
  readonly hasBegun: () => boolean
  /** Takes the next reply from the records; `undefined` if the model has to be asked. */
  readonly nextReply: (calls: (text: string) => Reply["calls"]) => string | undefined
  /**
   * Reserves a call of a model in the budgets. Resolves with `true` if the model is to answer with what it has, without tools. Never
   * settles once a budget stops the agent.
   */
  readonly askModel: (call: ModelCall) => Promise<boolean>
  /** Settles the last call without a reply to store. */
  readonly settleCall: (usage: Usage, model: string | undefined) => Promise<void>
  /** Settles the last call as refused by the provider: it cost nothing. */
  readonly releaseCall: () => Promise<void>
  /** Stores a reply of the model. Resolves once it is durable. */
  readonly keepReply: (reply: Reply) => Promise<void>
  /** Makes a tool call, or answers it from the records. Rejects with what the tool fails with. Never settles once the conversation is stopped. */
  readonly callTool: (call: Call) => Promise<unknown>
  /**
   * Calls a function while it holds a slot of a limit, for which it waits. A call within one that holds a slot of the same queue needs
   * no other. Never settles once the conversation is stopped, as by a limit that is unknown.
   */
  readonly withSlot: <A>(limit: unknown, act: (release: () => void) => Promise<A>) => Promise<A>
  /** Stores how it ended. */
  readonly end: (failure?: Failure) => Effect.Effect<void, JournalError>
  /**
   * Runs what asks the agent. Gives its outcome, or `AgentStalled` as its failure where the agent is stopped for repeating itself. Fails once the attempt has to
   * wait, or the records cannot be written. The work is interrupted then.
   */
  readonly within: <A>(work: Effect.Effect<A, unknown>) => Effect.Effect<Either.Either<A, unknown>, Stop>
  /** Aborted when the attempt ends or waits. */
  readonly signal: AbortSignal
  /** Frees the signal. */
  readonly close: () => void
  readonly log: ConversationLog
}

/** The conversations of one attempt. */
export interface Conversations {
  /** Makes the conversation of the next call of an agent. */
  readonly next: (agent: string) => Conversation
}

/** The reason why a conversation ends without a reply. */
export type Stop = AttemptSuspended | BudgetExceeded | NonRetryable | JournalError

/** The environment of an attempt's conversations. */
export interface Options {
  readonly journal: Journal.AttemptJournal
  readonly signal: AbortSignal
  readonly prices: Prices.Prices
  readonly bounds: Spending.Bounds
  /** Most bytes of a result that a model gets, where its tool does not say. */
  readonly maxResultBytes: number | undefined
  /** The session of tools, if it was opened. */
  readonly session: { readonly peek: () => ToolSession | undefined; readonly open: () => ToolSession }
}

const current = new AsyncLocalStorage<Conversation | undefined>()

/** Runs a function whose model calls and tool calls belong to a conversation; `undefined` for none. */
export const within = <A>(conversation: Conversation | undefined, act: () => A): A => current.run(conversation, act)

/** The conversation of the asynchronous context. */
export const ofContext = (): Conversation | undefined => current.getStore()

/** Queues of which the asynchronous context holds a slot. */
const held = new AsyncLocalStorage<ReadonlyArray<string>>()

const WorkspaceRecord = Schema.Struct({
  /** Before the first call, and after the last one. */
  first: WorkspaceIdentity.WorkspaceState,
  last: WorkspaceIdentity.WorkspaceState,
})
interface WorkspaceRecord extends Schema.Schema.Type<typeof WorkspaceRecord> {}
const isWorkspace = Schema.is(WorkspaceRecord)

const FailureRecord = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const isFailure = Schema.is(FailureRecord)

const unknownOutcome =
  "The outcome of this call is not known: the process died while it ran. It may have taken effect. Check before you call it again."

/** The judgement of a result, as to repetitions. */
interface Judged {
  /** The result as the model is to get it; `undefined` for as it is. */
  readonly told: unknown
  /** Stops the agent, if it is to be stopped. */
  readonly stop: () => Promise<void>
}

const accepted: Judged = { told: undefined, stop: async () => {} }

/** Makes the conversations of an attempt. */
export const make = (options: Options): Effect.Effect<Conversations, JournalError> =>
  Effect.gen(function* () {
    const { journal, signal, session, prices, bounds } = options
    const runtime = yield* Effect.runtime<never>()
    const known = [...(yield* journal.conversations)]
    /** Conversations of the attempts that this one continues, in order. */
    const continued = known.filter(({ isCurrent, status }) => isCurrent && status !== "superseded")
    let made = 0
    let lastNumber = known.reduce((most, { conversation }) => Math.max(most, conversation), 0)
    /** Digests of requests that a decision was used for. */
    let isDecisionUsed = false

    /** The decision about a request, unless it was used before: by this attempt, or by a call that was made since. */
    const decisionAbout = (digest: string, isAsked: boolean): Journal.AttemptDecision | undefined => {
      const { decision } = journal
      if (decision?.digest !== digest || isDecisionUsed) return undefined
      const isMade = () => known.some(({ calls }) => calls.some((call) => call.digest === digest && call.status !== "asked"))
      return isAsked || !isMade() ? decision : undefined
    }
    const spending = Spending.make({
      ...{ journal, prices, bounds },
      before: {
        model: known.reduce((sum, { entries }) => sum + entries.filter(({ kind }) => kind === "reply").length, 0),
        tool: known.reduce((sum, { calls }) => sum + calls.filter(({ status }) => Charges.isMade(status)).length, 0),
      },
      decisionAbout: (digest) => {
        const decision = decisionAbout(digest, true)
        if (decision !== undefined) isDecisionUsed = true
        return decision
      },
    })

    const next = (agent: string): Conversation => {
      const position = made++
      /** The end of the work, where something else has ended it. */
      let ending: Effect.Effect<Either.Either<never, DoomLoop.AgentStalled>, Stop> | undefined
      let endWork: (end: NonNullable<typeof ending>) => void = () => {}
      const stopWith = (end: NonNullable<typeof ending>): Promise<never> => {
        ending ??= end
        endWork(ending)
        return new Promise(() => {})
      }
      const controller = new AbortController()
      const abort = (): void => controller.abort(signal.reason)
      if (signal.aborted) abort()
      else signal.addEventListener("abort", abort, { once: true })
      const isOver = (): boolean => controller.signal.aborted

      const halt = (error: Stop): Promise<never> => stopWith(Effect.fail(error))
      const promised = <A>(effect: Effect.Effect<A>): Promise<A> => Runtime.runPromise(runtime)(effect)
      const durably = <A>(effect: Effect.Effect<A, Stop>): Promise<A> =>
        promised(Effect.either(effect)).then((done) => (Either.isRight(done) ? done.right : halt(done.left)))

      let record: Journal.Conversation | undefined
      let entries: ReadonlyArray<Journal.TranscriptEntry> = []
      let seq = 0
      /** Replies taken or kept so far. */
      let ordinal = 0
      /** Calls of the last reply that were not made yet. */
      let ahead: Array<{ readonly callId: string; readonly tool: string; readonly index: number }> = []
      let strays = 0
      const calls = new Map<string, Journal.ToolCallRecord>()
      const keyOf = (call: { readonly ordinal: number; readonly index: number }): string => `${call.ordinal}/${call.index}`
      const workspaceTools = new Set<string>()
      let inFlight = 0
      /** Tool calls that wait for a slot. */
      let queued = 0
      /** Tells whether all calls in flight wait for slots. No tool is at work while its model is asked. */
      const isIdle = (): boolean => inFlight === queued
      const noteIdle = (): void => {
        if (queued > 0 && isIdle()) journal.onIdle()
      }
      const requests: Array<Journal.AttemptRequest> = []

      const { nodeId, iteration, attempt } = journal.attempt
      const now = (): Promise<Millis.Millis> => promised(Millis.now)
      const here = () => ({ nodeId, iteration, conversation: record?.conversation ?? 0, attempt })
      const entry = (
        at: number,
        fields: Pick<Journal.TranscriptEntry, "kind" | "text"> & Partial<Journal.TranscriptEntry>,
      ): Journal.TranscriptEntry => ({ ...here(), seq: ++seq, at, ...fields })

      const readWorkspace = async (): Promise<WorkspaceIdentity.WorkspaceState> =>
        await WorkspaceIdentity.read(session.open().files.root)

      // Begin.

      /** The reason why a recorded conversation cannot be continued; `undefined` if it can. */
      const hindrance = async (found: Journal.RecordedConversation, request: Request): Promise<string | undefined> => {
        if (found.agent !== agent) return "another agent is asked"
        if (found.requestDigest !== request.digest) return "its prompt, instructions, model or tools have changed"
        if (!isWorkspace(found.workspace)) return undefined
        const { first, last } = found.workspace
        const state = await readWorkspace().catch(() => undefined)
        if (state === undefined) return "its workspace is gone"
        if (state.root !== last.root) return "it has another workspace"
        if (state.directory !== last.directory) return "its workspace was made again"
        if (state.files === last.files) return undefined
        const isCutOff = found.calls.some(({ status, isReadOnly }) => status === "started" && !isReadOnly)
        // What the files lack or have more is then the work of the call that was cut off.
        return isCutOff && !(state.files === first.files && first.files !== last.files)
          ? undefined
          : "the files of its workspace have changed since"
      }

      const resume = async (found: Journal.RecordedConversation): Promise<void> => {
        record = found
        ;({ entries } = found)
        seq = entries.reduce((most, each) => Math.max(most, each.seq), 0)
        for (const call of found.calls) calls.set(keyOf(call), call)
        for (const { seen } of found.calls) if (seen !== undefined) session.open().seen.restore(seen)
        if (found.status !== "open") return
        const at = await now()
        await durably(journal.record({ entries: [entry(at, { kind: "note", text: `continued by attempt ${attempt}` })] }))
      }

      /** Calls of conversations that were broken off, whose effects may stand. */
      const standing = async (
        broken: ReadonlyArray<Journal.RecordedConversation>,
        request: Request,
      ): Promise<ReadonlyArray<string>> => {
        const lines: Array<string> = []
        for (const { calls } of broken) {
          for (const call of calls) {
            const line = call.isReadOnly ? undefined : await standingLine(call, request.rulesOf(call.tool))
            if (line !== undefined) lines.push(line)
          }
        }
        return lines
      }
      const standingLine = async (call: Journal.ToolCallRecord, rules: ToolRules.ToolRules): Promise<string | undefined> => {
        const said = `${call.tool}(${call.input.length > 500 ? `${call.input.slice(0, 500)} …` : call.input})`
        if (call.status === "refused" || call.status === "asked" || rules.afterCrash === "rerun") return undefined
        if (rules.afterCrash === "ask") {
          const digest = Digest.ofValue({ again: call.digest })
          const decision = decisionAbout(digest, true)
          const title = `A conversation of "${nodeId}" has to begin again. Begin it, although ${call.tool} was called?`
          if (decision === undefined)
            return await halt(
              new AttemptSuspended({
                request: { kind: "approval", request: { title, tool: call.tool, input: parse(call.input) }, digest },
              }),
            )
          if (!decision.approved)
            return await halt(new NonRetryable({ message: `the conversation was not begun again${noteOf(decision)}` }))
        }
        if (call.status !== "started")
          return `${said}: ${call.status === "finished" ? "it took place" : (call.output ?? call.status)}`
        const recovery = await recover(call, rules)
        if (recovery === "rerun") return undefined
        return typeof recovery === "string" ? `${said}: its outcome is not known` : `${said}: it took place`
      }

      const begin: Conversation["begin"] = async (request) => {
        if (record !== undefined) return { preface: prefaceIn(entries) }
        const found = continued[position]
        const hindered = found === undefined ? undefined : await hindrance(found, request)
        if (found !== undefined && hindered === undefined) {
          await resume(found)
          if (found.status === "failed" && isFailure(found.failure)) throw errorOf(found.failure as Failure)
          return { preface: prefaceIn(entries) }
        }
        const broken = continued.splice(position)
        const lines = await standing(broken, request)
        const preface = lines.length === 0 ? undefined : prefaceOf(lines)
        const at = await now()
        record = {
          nodeId,
          iteration,
          conversation: ++lastNumber,
          attempt,
          agent,
          status: "open",
          requestDigest: request.digest,
          startedAt: at,
        }
        const opening = [entry(at, { kind: "prompt", text: request.prompt })]
        if (preface !== undefined) opening.push(entry(at, { kind: "note", text: preface, callId: prefaceId }))
        const superseded = broken.map(({ entries: _, calls: __, isCurrent: ___, ...one }) => ({
          ...one,
          status: "superseded" as const,
          failure: { reason: `it was broken off, since ${hindered ?? "another conversation came before it"}` },
          endedAt: at,
        }))
        entries = opening
        await durably(journal.record({ conversations: [...superseded, record], entries: opening }))
        return { preface }
      }

      // Replies.

      const expect = (reply: Reply["calls"]): void => {
        ahead = reply.map((call, index) => ({ ...call, index }))
        strays = reply.length
      }
      const nextReply: Conversation["nextReply"] = (callsOf) => {
        const recorded = entries.filter(({ kind }) => kind === "reply")[ordinal]
        if (recorded === undefined) return undefined
        ordinal++
        expect(callsOf(recorded.text))
        return recorded.text
      }
      const keepReply: Conversation["keepReply"] = async ({ text, calls, model, usage }) => {
        ordinal++
        expect(calls)
        const at = await now()
        const { inputTokens, outputTokens } = usage
        const reply = entry(at, { kind: "reply", text, ...defined({ model, inputTokens, outputTokens }) })
        entries = [...entries, reply]
        await durably(journal.record({ entries: [reply], ...settledBy((charge) => spending.settled(charge, at, usage, model)) }))
      }

      // Budgets.

      /** The charge of the call of the model that is in flight. */
      let inCharge: Charges.Charge | undefined
      /** Calls for the reply that comes next, which agents may repeat. */
      let tries = { ordinal: 0, made: 0 }
      let hasFinished = false
      let timer: ReturnType<typeof setTimeout> | undefined
      const settledBy = (
        settle: (charge: Charges.Charge) => Charges.Charge,
      ): { readonly charges?: ReadonlyArray<Charges.Charge> } => {
        const charges = inCharge === undefined ? [] : [settle(inCharge)]
        inCharge = undefined
        return charges.length === 0 ? {} : { charges }
      }
      /** Ends the agent when a budget of time is used up. */
      const limitTime = ({ at: until, reached }: Budget.End, at: number): void => {
        clearTimeout(timer)
        const wait = Math.min(Math.max(0, until - at), longestTimer)
        timer = setTimeout(() => void halt(new BudgetExceeded({ nodeId, ...reached })), wait)
      }
      const askModel: Conversation["askModel"] = async ({ model, text, maxOutputTokens = 0 }) => {
        const caller = { conversation: record?.conversation ?? 0, agent }
        tries = { ordinal, made: tries.ordinal === ordinal ? tries.made + 1 : 1 }
        const call = {
          ...({ kind: "model", ordinal: ordinal + 1, index: -tries.made, name: model } as const),
          // Only budgets need it, and requests are long.
          ...(spending.hasBudgets
            ? { estimate: { inputTokens: Math.ceil(text().length / charactersPerToken), outputTokens: maxOutputTokens } }
            : {}),
        }
        let permission = await durably(spending.reserve(caller, call))
        const isFinal = permission._tag === "Finish"
        if (permission._tag === "Finish") {
          const { reached } = permission
          // There is nothing to answer with before the first reply, and one last reply is enough.
          if (ordinal === 0 || hasFinished) return await halt(new BudgetExceeded({ nodeId, ...reached }))
          hasFinished = true
          permission = await durably(spending.reserve(caller, { ...call, isFinal }))
          if (permission._tag === "Finish") return await halt(new BudgetExceeded({ nodeId, ...permission.reached }))
        }
        inCharge = permission.charge
        if (permission.until !== undefined) limitTime(permission.until, permission.charge.startedAt)
        return isFinal
      }
      const settleCall: Conversation["settleCall"] = async (usage, model) => {
        const at = await now()
        const charged = settledBy((charge) => spending.settled(charge, at, usage, model))
        if (charged.charges !== undefined) await durably(journal.record(charged))
      }
      const releaseCall: Conversation["releaseCall"] = async () => {
        const at = await now()
        const charged = settledBy((charge) => ({ ...charge, status: "failed", endedAt: at }))
        if (charged.charges !== undefined) await durably(journal.record(charged))
      }

      // Tools.

      const indexOf = (callId: string, tool: string): number => {
        const at = ahead.findIndex((call) => call.callId === callId && call.tool === tool)
        // A call that the reply does not have, such as one whose name was repaired.
        if (at < 0) return strays++
        return ahead.splice(at, 1)[0]?.index ?? strays++
      }
      const put = async (call: Journal.ToolCallRecord, ...more: ReadonlyArray<Journal.TranscriptEntry>): Promise<void> => {
        calls.set(keyOf(call), call)
        const charge = reservedTools.get(keyOf(call))
        if (charge !== undefined) reservedTools.delete(keyOf(call))
        const charges = charge === undefined ? [] : [spending.settled(charge, call.endedAt ?? charge.startedAt, {})]
        await durably(journal.record({ calls: [call], entries: more, ...(await changedWorkspace(call)), ...listed({ charges }) }))
      }
      const reservedTools = new Map<string, Charges.Charge>()
      /** Reserves a tool call in the budgets, with its intent. Returns the reason not to make it, if a budget is used up. */
      const putIntent = async (call: Journal.ToolCallRecord): Promise<string | undefined> => {
        const { tool: name, index } = call
        const rows = { calls: [call], ...(await changedWorkspace(call)) }
        const asked = { kind: "tool", ordinal: call.ordinal, index, name } as const
        const permission = await durably(spending.reserve({ conversation: call.conversation, agent }, asked, rows))
        if (permission._tag === "Finish")
          return `This call was not made, since ${Budget.sentence(permission.reached)}. Answer with what you have.`
        calls.set(keyOf(call), call)
        if (spending.hasBudgets) reservedTools.set(keyOf(call), permission.charge)
        return undefined
      }
      /** The conversation with the state of the workspace: before the first call that uses it, and after each that may change it. */
      const changedWorkspace = async ({ tool, isReadOnly, status }: Journal.ToolCallRecord) => {
        if (record === undefined || !workspaceTools.has(tool)) return {}
        const before = isWorkspace(record.workspace) ? record.workspace : undefined
        const isChange = !isReadOnly && (status === "finished" || status === "failed")
        if (before === undefined ? status !== "started" : !isChange) return {}
        const state = await readWorkspace()
        if (before !== undefined && state.files === before.last.files) return {}
        record = { ...record, workspace: { first: before?.first ?? state, last: state } satisfies WorkspaceRecord }
        return { conversations: [record] }
      }

      /** Waits for a decision. Other calls of the reply finish before that. */
      const ask = (request: Journal.AttemptRequest): Promise<never> => {
        requests.push(request)
        settle()
        return new Promise(() => {})
      }
      const settle = (): void => {
        if (inFlight > 0 || requests.length === 0) return
        // Calls of the same reply begin before that.
        setTimeout(() => {
          const [first] = requests
          if (inFlight === 0 && first !== undefined) void halt(new AttemptSuspended({ request: first }))
        }, 0)
      }

      const recover = (call: Journal.ToolCallRecord, rules: ToolRules.ToolRules): Promise<ToolRules.Recovery<unknown>> => {
        const { tool, callId, snapshot } = call
        return promised(
          rules.recover({ tool, input: parse(call.input), toolCallId: callId, snapshot: snapshot as Json | undefined }),
        )
      }

      let repetitions = DoomLoop.initial
      /** Counts a call that has ended, also one from the records. */
      const observe = async ({ tool, input, rules }: Call, result: unknown): Promise<DoomLoop.Verdict> => {
        const loopKey = rules.loopKey === undefined ? undefined : await promised(rules.loopKey({ tool, input }))
        const isExempt = rules.isPolling || (rules.loopKey !== undefined && loopKey === undefined)
        const seen = DoomLoop.observe(repetitions, { tool, input, result, loopKey, isExempt })
        repetitions = seen.state
        return seen.verdict
      }

      const callTool: Conversation["callTool"] = async (asked) => {
        const { callId, tool, input, rules, isAsked, isCut, execute } = asked
        const index = indexOf(callId, tool)
        if (rules.usesWorkspace) workspaceTools.add(tool)
        const text = Digest.canonicalText(input)
        const digest = Digest.ofValue({ tool, input })
        const before = calls.get(keyOf({ ordinal, index }))
        if (before?.status === "finished") {
          const recorded = before.output === undefined ? undefined : parse(before.output)
          await observe(asked, DoomLoop.splitNotice(recorded).result)
          return before.output === undefined ? undefined : decode(before.output)
        }
        if (before !== undefined && before.status !== "started" && before.status !== "asked") {
          if (before.status === "failed") await observe(asked, DoomLoop.splitNotice(before.output).result)
          throw new Error(before.output ?? unknownOutcome)
        }
        inFlight++
        let isHeld = true
        const leave = (): void => {
          if (isHeld) inFlight--
          isHeld = false
          noteIdle()
        }
        try {
          const fresh: Journal.ToolCallRecord = {
            ...here(),
            ordinal,
            index,
            callId,
            tool,
            isReadOnly: rules.isReadOnly,
            status: "started",
            input: text,
            digest,
            startedAt: await now(),
          }
          let call: Journal.ToolCallRecord = before === undefined ? fresh : { ...before, attempt }
          /** The result with what the model is told of repetitions besides, and the end of an agent that goes on with them. */
          const judge = async (result: unknown): Promise<Judged> => {
            const verdict = await observe(asked, result)
            if (verdict._tag === "Continue") return accepted
            if (verdict._tag === "Nudge") return { told: DoomLoop.withNotice(result, verdict.text), stop: async () => {} }
            return { told: undefined, stop: () => stopWith(Effect.succeed(Either.left(verdict.stalled))) }
          }
          const finish = async (value: unknown): Promise<unknown> => {
            const at = await now()
            const { output: bare, whole } = outputOf(value, isCut ? rules : undefined, options.maxResultBytes)
            const { told, stop } = await judge(bare === undefined ? undefined : parse(bare))
            const output = told === undefined ? bare : JSON.stringify(told)
            const seen = session.peek()?.seen.take()
            const done = { ...call, status: "finished" as const, endedAt: at, ...defined({ output, seen }) }
            await put(done, entry(at, { kind: "tool-result", text: whole ?? output ?? "", tool, callId }))
            await stop()
            return output === undefined ? undefined : decode(output)
          }
          const refuse = async (status: "failed" | "unknown" | "refused", problem: string): Promise<never> => {
            const at = await now()
            const { told, stop } = status === "failed" ? await judge(problem) : accepted
            const output = told === undefined ? problem : String(told)
            await put({ ...call, status, output, endedAt: at }, entry(at, { kind: "tool-result", text: output, tool, callId }))
            await stop()
            throw new Error(output)
          }
          if (before?.status === "started") {
            const recovery = await recover(before, rules)
            if (typeof recovery === "object") return await finish(recovery.output)
            if (recovery === "unknown") return await refuse("unknown", unknownOutcome)
            if (recovery === "ask") {
              const again = Digest.ofValue({ again: digest, ordinal, index, attempt: before.attempt })
              const decision = decisionAbout(again, true)
              if (decision === undefined) {
                leave()
                const title = `The outcome of ${tool} is not known after a crash. Call it again?`
                return await ask({ kind: "approval", request: { title, tool, input: parse(text) }, digest: again })
              }
              isDecisionUsed = true
              if (!decision.approved) return await refuse("unknown", `${unknownOutcome}${noteOf(decision)}`)
              call = { ...call, ...defined({ by: decision.by, note: decision.note }) }
            }
          } else if (isAsked || rules.needsApproval !== undefined) {
            const judged = rules.needsApproval === undefined ? undefined : await promised(rules.needsApproval({ tool, input }))
            const needed = judged ?? (isAsked ? {} : undefined)
            if (needed !== undefined) {
              const decision = decisionAbout(digest, before?.status === "asked")
              if (decision === undefined) {
                if (before === undefined) await put({ ...call, status: "asked" })
                leave()
                const { title = `Allow ${tool}?`, summary, details, timeout } = needed
                const shown = { title, tool, input: parse(text), ...defined({ summary, details }) }
                const timeoutMs = timeout === undefined ? undefined : Duration.toMillis(timeout)
                return await ask({ kind: "approval", request: shown, digest, ...defined({ timeoutMs }) })
              }
              isDecisionUsed = true
              call = { ...call, status: "started", ...defined({ by: decision.by, note: decision.note }) }
              if (decision.isTimeout && needed.onTimeout === "fail")
                return await halt(new NonRetryable({ message: `nobody decided in time about a call of ${tool}` }))
              if (!decision.approved && !(decision.isTimeout && needed.onTimeout === "approve")) {
                const who = decision.isTimeout ? "Nobody allowed this call in time." : "A person did not allow this call."
                return await refuse("refused", `${who}${noteOf(decision)}`)
              }
            }
          }
          if (isOver()) throw controller.signal.reason
          const snapshot = rules.snapshot === undefined ? undefined : await promised(rules.snapshot({ tool, input }))
          call = { ...call, status: "started", ...defined({ snapshot }) }
          // Stored once the call has its slot: the outcome of one that only waits is known, it was not made.
          const make = async (): Promise<{ readonly held: string } | { readonly value: unknown }> => {
            const held = await putIntent(call)
            if (held !== undefined) return { held }
            return { value: await lastOf(within(undefined, () => (isCut ? Results.storing(callId, execute) : execute()))) }
          }
          let made: Awaited<ReturnType<typeof make>>
          try {
            made = await (rules.limit === undefined ? make() : limited(await rules.limit({ tool, input }), make))
          } catch (thrown) {
            // What an aborted call has done is not known, and not recorded. The agent ends at the next request of its model.
            if (isOver()) throw thrown
            return await refuse("failed", Results.cut(Thrown.describe(thrown).message))
          }
          return await ("held" in made ? refuse("refused", made.held) : finish(made.value))
        } finally {
          leave()
          settle()
        }
      }

      /** Makes a call that holds a slot until it has ended. */
      const limited = <A>(limit: unknown, made: () => Promise<A>): Promise<A> =>
        holding(limit, "tool", async (release) => {
          try {
            return await made()
          } finally {
            release()
          }
        })

      // The record of agents that report what they do.

      const logged = new Map<string, Journal.ToolCallRecord>()
      const log: ConversationLog = {
        session: known.findLast((one) => one.agent === agent && one.session !== undefined && one.status !== "superseded")?.session,
        decision: journal.decision,
        keepSession: (kept) =>
          Effect.suspend(() => {
            if (record === undefined) return Effect.void
            record = { ...record, session: kept }
            return journal.record({ conversations: [record] })
          }),
        append: (added) => Effect.flatMap(Millis.now, (at) => journal.record({ entries: [entry(at, added)] })),
        callStarted: ({ callId, tool, input }) =>
          Effect.flatMap(Millis.now, (at) => {
            const text = Digest.canonicalText(input)
            const index = logged.size
            const digest = Digest.ofValue({ tool, input })
            const about = { ordinal: 0, index, callId, tool, isReadOnly: false, status: "started", input: text, digest } as const
            const call: Journal.ToolCallRecord = { ...here(), ...about, startedAt: at }
            logged.set(callId, call)
            const rows = { calls: [call], entries: [entry(at, { kind: "tool-call" as const, text, tool, callId })] }
            const asked = { kind: "tool", ordinal: 0, index, name: tool } as const
            return spending.reserve({ conversation: record?.conversation ?? 0, agent }, asked, rows).pipe(
              Effect.flatMap((permission): Effect.Effect<void, BudgetExceeded | JournalError> => {
                if (permission._tag === "Finish") return new BudgetExceeded({ nodeId, ...permission.reached })
                return spending.hasBudgets
                  ? journal.record({ charges: [spending.settled(permission.charge, at, {})] })
                  : Effect.void
              }),
              // The program calls its tools itself: what is left is to stop it.
              Effect.catchTags({
                BudgetExceeded: (error) => Effect.promise(() => halt(error)),
                AttemptSuspended: (suspended) => Effect.promise(() => halt(suspended)),
              }),
            )
          }),
        callEnded: ({ callId, status, output }) =>
          Effect.flatMap(Millis.now, (at) => {
            const call = logged.get(callId)
            if (call === undefined) return Effect.void
            const { tool } = call
            const result = entry(at, { kind: "tool-result", text: output, tool, callId })
            return journal.record({ calls: [{ ...call, status, output: Results.cut(output), endedAt: at }], entries: [result] })
          }),
      }

      const holding = async <A>(limit: unknown, kind: "tool" | "model", act: (release: () => void) => Promise<A>): Promise<A> => {
        const queue = Limits.queueOf(limit)
        if (Either.isLeft(queue)) return await halt(new NonRetryable({ message: `The limit of agent "${agent}" ${queue.left}.` }))
        const name = Limits.nameOf(queue.right)
        const outer = held.getStore() ?? []
        if (outer.includes(name)) return await act(() => {})
        if (kind === "tool") queued++
        const slot = await Runtime.runPromise(runtime)(Effect.either(journal.slot(queue.right, isIdle)), {
          signal: controller.signal,
        }).finally(() => {
          if (kind === "tool") queued--
        })
        if (Either.isLeft(slot)) {
          const error = slot.left
          const isOfCode = error._tag === "UnknownLimit" || error._tag === "InvalidLimit"
          return await halt(isOfCode ? new NonRetryable({ message: error.message, cause: error }) : error)
        }
        return await held.run([...outer, name], () => act(slot.right))
      }
      const withSlot: Conversation["withSlot"] = (limit, act) => holding(limit, "model", act)

      return {
        begin,
        withSlot,
        hasBegun: () => record !== undefined,
        nextReply,
        askModel,
        settleCall,
        releaseCall,
        keepReply,
        callTool,
        end: (failure) =>
          Effect.suspend(() => {
            if (record === undefined || record.status === "failed") return Effect.void
            if (record.status === "finished" && failure === undefined) return Effect.void
            return Effect.flatMap(Millis.now, (at) => {
              const said = failure === undefined ? [] : [entry(at, { kind: "error", text: failure.reason })]
              record = {
                ...(record as Journal.Conversation),
                status: failure === undefined ? "finished" : "failed",
                endedAt: at,
                ...defined({ failure }),
              }
              return journal.record({ conversations: [record], entries: said })
            })
          }),
        within: <A>(work: Effect.Effect<A, unknown>) =>
          Effect.gen(function* () {
            // A race would take two fibers more, for each agent that waits for its model.
            const outcome = Deferred.unsafeMake<Either.Either<A, unknown>, Stop>(FiberId.none)
            endWork = (end) => Deferred.unsafeDone(outcome, end)
            if (ending !== undefined) endWork(ending)
            const working = yield* Effect.fork(Effect.intoDeferred(Effect.either(work), outcome))
            return yield* Effect.ensuring(Deferred.await(outcome), Fiber.interrupt(working))
          }),
        signal: controller.signal,
        close: () => {
          clearTimeout(timer)
          signal.removeEventListener("abort", abort)
          controller.abort()
        },
        log,
      }
    }
    return { next }
  })

/** Characters of a token, about. It is only used to reserve: what is charged is what the provider counts. */
const charactersPerToken = 4

/** Longest time of a timer in milliseconds. */
const longestTimer = 2 ** 31 - 1

const listed = ({ charges }: { readonly charges: ReadonlyArray<Charges.Charge> }) => (charges.length === 0 ? {} : { charges })

/** The mark of the entry that holds a preface. */
const prefaceId = "preface"

const prefaceIn = (entries: ReadonlyArray<Journal.TranscriptEntry>): string | undefined =>
  entries.find(({ kind, callId }) => kind === "note" && callId === prefaceId)?.text

const prefaceOf = (lines: ReadonlyArray<string>): string =>
  [
    "An earlier conversation about this task was broken off and begins again. It made these tool calls, whose effects may stand.",
    "Check before you repeat one of them:",
    ...lines.map((line) => `- ${line}`),
  ].join("\n")

/** The error of a stored failure, by the fields that `ProviderError` reads. */
const errorOf = ({ reason, status, retryable, retryAfterMs }: Failure): Error =>
  Object.assign(new Error(reason), {
    isRetryable: retryable === true,
    ...(typeof status === "number" ? { statusCode: status } : {}),
    ...(typeof retryAfterMs === "number" ? { responseHeaders: { "retry-after-ms": String(retryAfterMs) } } : {}),
  })

const noteOf = ({ note }: Journal.AttemptDecision): string => (note === undefined ? "" : ` Note: ${note}`)

const parse = (text: string): unknown => JSON.parse(text)

/** The result of a tool as the model gets it, as JSON without secrets, and the whole of it if it was cut. */
const outputOf = (
  value: unknown,
  rules: Pick<ToolRules.ToolRules, "keeps" | "maxResultBytes"> | undefined,
  ofRuntime: number | undefined,
): { readonly output: string | undefined; readonly whole?: string } => {
  const encoded = encode(value)
  const json = encoded === undefined ? undefined : Secrets.text(encoded)
  if (json === undefined || rules === undefined) return { output: json }
  const whole = typeof value === "string" ? Secrets.text(value) : json
  const shown = Results.cut(whole, rules.keeps, rules.maxResultBytes ?? ofRuntime)
  return shown === whole ? { output: json } : { output: JSON.stringify(shown), whole }
}

/** The value of a result, which may be a promise, or the last of several. */
const lastOf = async (returned: unknown): Promise<unknown> => {
  const value = await returned
  if (typeof value !== "object" || value === null || !(Symbol.asyncIterator in value)) return value
  let last: unknown
  for await (const item of value as AsyncIterable<unknown>) last = item
  return last
}
