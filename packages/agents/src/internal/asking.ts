/** Asks the agents of a step, one after another, until one gives a value that can be stored. Loaded with the first call. */
import { isDeepStrictEqual } from "node:util"
import type { AgentRequest, AgentTurn, AnyAgent, CallableAgent, Message, SdkAgent } from "@smithers/core/Agent"
import { boundsOf, isModel, nameOf } from "@smithers/core/Agent"
import { type AttemptRequest, AttemptSuspended } from "@smithers/core/AgentJournal"
import type { AgentCall, AgentRunnerShape } from "@smithers/core/AgentRunner"
import type { Usage } from "@smithers/core/Charges"
import { type Issues, isUnstorable } from "@smithers/core/Codec"
import * as Digest from "@smithers/core/Digest"
import * as EffectVersion from "@smithers/core/EffectVersion"
import { AgentFailed, InvalidOutput, NonRetryable, RunFenced } from "@smithers/core/Errors"
import { defined } from "@smithers/core/Struct"
import * as Thrown from "@smithers/core/Thrown"
import { StaleAttempt } from "@smithers/core/Transaction"
import type { LanguageModel } from "ai"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Conversation from "../Conversation.ts"
import { createAgent } from "../createAgent.ts"
import * as Instruction from "../Instruction.ts"
import * as ProviderError from "../ProviderError.ts"
import * as Reply from "../Reply.ts"
import * as ToolRules from "../ToolRules.ts"
import * as ToolSession from "../ToolSession.ts"
import type { ToolSettings } from "../ToolSettings.ts"
import * as Durable from "./durable.ts"
import * as Grace from "./grace.ts"
import * as ModelErrors from "./modelErrors.ts"
import { recordsItself } from "./recordsItself.ts"
import * as Sdk from "./sdk.ts"
import * as Spending from "./spending.ts"

export const run = (call: AgentCall, tools: ToolSettings): ReturnType<AgentRunnerShape["run"]> =>
  Effect.gen(function* () {
    const { rights: granted = {}, prices = {} } = tools
    const commands = call.commands ?? tools.commands
    const rights = call.rights === undefined ? granted : yield* ToolSession.narrow(granted, call.rights, call.context.stepId)
    let session: ToolSession.ToolSession | undefined
    const open = (): ToolSession.ToolSession => {
      session ??= ToolSession.make(rights, commands, call.rights)
      return session
    }
    const { journal, signal, context } = call
    const conversations = yield* Conversation.make({
      ...{ journal, signal, prices },
      bounds: Spending.boundsOf(call.budget),
      maxResultBytes: rights.maxResultBytes,
      session: { peek: () => session, open },
    })
    const task = Instruction.make(call)
    const failures: Array<Failure> = []
    const asking = Effect.gen(function* () {
      for (const agent of call.agents.map(callable)) {
        const answer = yield* converse({ call, task, agent, conversations, open })
        if (Either.isRight(answer)) return Option.some(answer.right)
        failures.push(answer.left)
      }
      return Option.none()
    })
    const answer = yield* Effect.ensuring(
      asking,
      Effect.suspend(() => session?.close ?? Effect.void),
    )
    if (Option.isSome(answer)) return answer.value
    const limit = limitOf(failures)
    if (limit !== undefined) return yield* new AttemptSuspended({ request: limit })
    return yield* raise(context.stepId, failures)
  })

/** Placeholder of a reply without text in a conversation, since providers refuse empty messages. */
const nothingSaid = "(no text)"

/** Reason why an agent was given up. */
type Failure =
  | { readonly agent: string; readonly issues: Issues }
  | { readonly agent: string; readonly trouble: ProviderError.Trouble; readonly cause: unknown }

/**
 * The limit that has to pass, if one agent has reached a limit and no other is worth asking before: the first that ends. The step then
 * waits, and uses up no retry.
 */
const limitOf = (failures: ReadonlyArray<Failure>): AttemptRequest | undefined => {
  let first: { readonly agent: string; readonly message: string; readonly until: number } | undefined
  for (const failure of failures) {
    if ("issues" in failure) return undefined
    const { agent, trouble } = failure
    const { resetAt: until, reason: message } = trouble
    if (until === undefined && trouble.retryable) return undefined
    if (until !== undefined && (first === undefined || until < first.until)) first = { agent, message, until }
  }
  return first && { kind: "quota", request: { agent: first.agent, message: first.message }, until: first.until }
}

const modelAgents = new WeakMap<object, CallableAgent>()

/** The agent to call: for a plain model, one without instructions and tools. */
const callable = (agent: AnyAgent): CallableAgent => {
  if (!isModel(agent)) return agent
  const made = modelAgents.get(agent) ?? createAgent({ name: agent.modelId, model: agent as unknown as LanguageModel })
  modelAgents.set(agent, made)
  return made
}

/** The environment of the calls of one agent in an attempt. */
interface Setting {
  readonly call: AgentCall
  readonly task: Instruction.Task
  readonly agent: CallableAgent
  readonly conversations: Conversation.Conversations
  readonly open: () => ToolSession.ToolSession
}

const converse = (setting: Setting): Effect.Effect<Either.Either<unknown, Failure>, InvalidOutput | Conversation.Stop> =>
  Effect.gen(function* () {
    const { call, task, agent, conversations } = setting
    const name = nameOf(agent)
    const messages: Array<Message> = []
    let prompt = task.prompt
    for (let repairs = 0; ; repairs++) {
      if (call.signal.aborted) return yield* Effect.interrupt
      messages.push({ role: "user", content: prompt })
      const said = prompt
      const conversation = conversations.next(name)
      const answering = Effect.flatMap(ask(setting, messages, conversation), understand)
      const asked = yield* conversation.within(answering).pipe(
        Effect.onInterrupt(() =>
          Effect.sync(() => call.onTurn({ agent: name, prompt: said, problem: "interrupted before it replied" })),
        ),
        Effect.tapError((stop) =>
          Effect.sync(() => call.onTurn({ agent: name, prompt: said, problem: `interrupted before it replied: ${stop.message}` })),
        ),
        Effect.ensuring(Effect.sync(conversation.close)),
      )
      if (Either.isLeft(asked)) {
        // Another process or attempt goes on: it is no failure of the agent.
        if (asked.left instanceof RunFenced || asked.left instanceof StaleAttempt) return yield* asked.left
        ProviderError.conceal(
          asked.left,
          messages.map(({ content }) => content),
        )
        const trouble = yield* ProviderError.read(asked.left)
        call.onTurn({ agent: name, prompt, problem: trouble.reason })
        if (call.signal.aborted) return yield* Effect.interrupt
        // Once a limit has passed, the conversation goes on.
        if (trouble.resetAt === undefined) yield* conversation.end(failureOf(trouble))
        return Either.left({ agent: name, trouble, cause: asked.left })
      }
      const reply = asked.right
      yield* conversation.end()
      const turn = { agent: name, prompt, reply: reply.text, ...reply.counts }
      const judged = yield* Effect.onError(judge(call, task, reply, agent), () =>
        Effect.sync(() => call.onTurn({ ...turn, problem: "the reply could not be validated" })),
      )
      if (Either.isRight(judged)) {
        call.onTurn(turn)
        return Either.right(judged.right)
      }
      const issues = judged.left
      call.onTurn({ ...turn, problem: Instruction.shorten(issues).join("; ") })
      if (repairs >= call.corrections) return Either.left({ agent: name, issues })
      messages.push({ role: "assistant", content: reply.text.trim() === "" ? nothingSaid : reply.text })
      prompt = Instruction.correction(task.form, issues)
    }
  })

/** A failure as stored with its conversation, so that an attempt which continues passes on to the next agent as this one did. */
const failureOf = (trouble: ProviderError.Trouble): Conversation.Failure => ({
  reason: trouble.reason,
  status: trouble.status ?? null,
  retryable: trouble.retryable,
  retryAfterMs: trouble.retryAfterMs ?? null,
  isOwnCode: trouble.isOwnCode,
})

/** Returns `true` for agents of the AI SDK. */
const isSdkAgent = (agent: CallableAgent): agent is SdkAgent => String(agent.version ?? "").startsWith("agent-v")

/** Returns the reply of an agent, or fails with its error. */
const ask = (
  setting: Setting,
  messages: ReadonlyArray<Message>,
  conversation: Conversation.Conversation,
): Effect.Effect<unknown, unknown> =>
  Effect.gen(function* () {
    const { call, task, agent } = setting
    const prompt = messages.at(-1)?.content ?? task.prompt
    const others = {
      abortSignal: conversation.signal,
      ...(agent.wantsContext ? { context: { ...call.context, outputSchema: task.schema, log: conversation.log } } : {}),
    }
    const derived = isSdkAgent(agent) && Durable.isDurable(agent) ? Durable.derive(yield* loadSdk, agent, conversation) : agent
    const isRecorded = derived !== agent || recordsItself in agent
    // The replies of other agents are recorded as a whole.
    if (!isRecorded) {
      const digest = Digest.ofValue({ agent: nameOf(agent), messages })
      yield* promised(() => conversation.begin({ digest, prompt, rulesOf: () => ToolRules.undeclared }))
      const known = conversation.nextReply(() => [])
      if (known !== undefined) return JSON.parse(known)
      yield* promised(() => conversation.askModel({ model: undefined, text: () => messages.map(({ content }) => content).join() }))
    }
    const replied = yield* generate({ ...setting, agent: derived }, messages, { prompt, ...others }, conversation)
    if (isRecorded) return replied
    const { text, output, finishReason, counts } = yield* understand(replied)
    const reply = { text, finishReason, usage: counts, response: { modelId: counts.model } }
    // An output that JSON would change is not stored: the agent is asked again after a crash.
    if (!isJson(output)) {
      yield* promised(() => conversation.settleCall(usageOf(replied, counts), counts.model))
      return replied
    }
    yield* promised(() =>
      conversation.keepReply({
        text: JSON.stringify({ ...reply, output }),
        calls: [],
        model: counts.model,
        usage: usageOf(replied, counts),
      }),
    )
    return replied
  })

const promised = <A>(give: () => Promise<A>): Effect.Effect<A, unknown> =>
  Effect.tryPromise({ try: give, catch: (thrown) => thrown })

const isJson = (value: unknown): boolean => {
  if (value === undefined) return true
  try {
    return isDeepStrictEqual(JSON.parse(JSON.stringify(value)), value)
  } catch {
    return false
  }
}

/** The use of a call, as the agent states it. */
const usageOf = (reply: unknown, { inputTokens, outputTokens }: Understood["counts"]): Usage => {
  const usage = Thrown.get(reply, "usage")
  const [cachedInputTokens, reasoningTokens, cost] = ["cachedInputTokens", "reasoningTokens", "costUsd"].map((name) =>
    count(Thrown.get(usage, name)),
  )
  return defined({ inputTokens, outputTokens, cachedInputTokens, reasoningTokens, cost })
}

const loadSdk = Effect.promise(() => Sdk.load())

/** Calls an agent with a prompt, or with a conversation. */
const generate = (
  { call, agent, open }: Setting,
  messages: ReadonlyArray<Message>,
  { prompt, ...others }: Omit<AgentRequest, "messages">,
  conversation: Conversation.Conversation,
): Effect.Effect<unknown, unknown> =>
  Effect.suspend(() => {
    const exchanged = messages.length === 1 ? undefined : [...messages]
    const offered = { ...others, ...narrowed(agent, open) }
    const { graceMs = Grace.attemptMs } = call
    const note: ModelErrors.Note = {}
    let returned: unknown
    try {
      returned = ModelErrors.within(note, () =>
        Conversation.within(conversation, () =>
          ToolSession.within(open, () =>
            isSdkAgent(agent)
              ? agent.generate(exchanged === undefined ? { prompt, ...offered } : { ...offered, messages: exchanged })
              : agent.generate({ prompt, ...defined({ messages: exchanged }), ...others }),
          ),
        ),
      )
    } catch (thrown) {
      return Effect.fail(thrown)
    }
    if (Effect.isEffect(returned)) {
      const problem = EffectVersion.problemOfEffect(returned)
      if (problem !== undefined)
        return Effect.fail(new NonRetryable({ message: `what its "generate" returned cannot be run: ${problem}` }))
      // Its requirements were provided by the author of the agent.
      const answered = Grace.ofEffect(returned as Effect.Effect<unknown, unknown>, graceMs)
      return Effect.catchAll(answered, (reason) => replyIn(reason, note))
    }
    if (!isThenable(returned)) {
      const message = `its "generate" returned ${Thrown.show(returned)} instead of a promise or an Effect of a reply`
      return Effect.fail(new NonRetryable({ message }))
    }
    return Effect.catchAll(Grace.ofPromise(returned, call.signal, graceMs), (reason) => replyIn(reason, note))
  })

/** The tools that an agent of the AI SDK is to offer instead of all of its own, where rights narrow them. */
const narrowed = (agent: CallableAgent, open: () => ToolSession.ToolSession): { readonly tools?: ToolSession.Tools } => {
  if (!isSdkAgent(agent) || agent.tools === undefined) return {}
  const tools = open().offer(agent.tools)
  return tools === agent.tools ? {} : { tools }
}

/**
 * Recovers the reply from an error. The AI SDK drops a reply that does not match the requested object; its error has the fields of
 * a reply. The error of a stream without output is that of the model call.
 */
const replyIn = (reason: unknown, note: ModelErrors.Note): Effect.Effect<unknown, unknown> =>
  Effect.flatMap(Sdk.loadFor([reason]), (sdk) => {
    if (sdk?.NoObjectGeneratedError.isInstance(reason) === true && reason.text !== undefined) return Effect.succeed(reason)
    const isEmpty = sdk?.NoOutputGeneratedError.isInstance(reason) === true && reason.cause === undefined
    return Effect.fail(isEmpty && note.error !== undefined ? note.error : reason)
  })

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

/** The relevant fields of a reply, read once. */
interface Understood {
  readonly text: string
  readonly output: unknown
  readonly finishReason: string | undefined
  /** Metadata stored beside the text. */
  readonly counts: Pick<AgentTurn, "model" | "finishReason" | "inputTokens" | "outputTokens" | "totalTokens">
}

/** A reply that broke off: its text may be half of one, and valid all the same. */
const broken: ReadonlyMap<unknown, string> = new Map([
  ["error", "the reply ended with an error of the provider"],
  ["interrupted", "the reply broke off before its end"],
])

const understand = (reply: unknown): Effect.Effect<Understood, unknown> => {
  const text = Thrown.get(reply, "text")
  if (typeof text !== "string") {
    const message = `its reply is ${Thrown.show(reply)} with "text" ${Thrown.show(text)}: a reply must be { text: string, … }`
    return Effect.fail(new NonRetryable({ message }))
  }
  const breach = broken.get(Thrown.get(reply, "finishReason"))
  if (breach !== undefined) return Effect.fail(new Error(breach))
  const usage = Thrown.get(reply, "usage")
  const [model, finishReason] = [Thrown.get(Thrown.get(reply, "response"), "modelId"), Thrown.get(reply, "finishReason")].map(
    textual,
  )
  const [inputTokens, outputTokens, totalTokens] = ["inputTokens", "outputTokens", "totalTokens"].map((name) =>
    count(Thrown.get(usage, name)),
  )
  const counts = {
    ...defined({ model, finishReason, inputTokens, outputTokens, totalTokens }),
  }
  return Effect.succeed({ text, output: Thrown.get(reply, "output"), finishReason, counts })
}

const textual = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const count = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined)

/** Returns the first valid value in the reply, or the issues of the most likely one. */
const judge = (
  { output, context }: AgentCall,
  task: Instruction.Task,
  reply: Understood,
  agent: CallableAgent,
): Effect.Effect<Either.Either<unknown, Issues>, InvalidOutput> =>
  Effect.gen(function* () {
    const { values, problem } = valuesOf(task, reply)
    let refused: Issues | undefined
    for (const value of values) {
      const accepted = yield* Effect.either(output.encode(value))
      if (Either.isRight(accepted)) return Either.right(value)
      const issues = accepted.left
      // The schema accepts it but transforms it into a value that cannot be stored, which no correction can change.
      if (isUnstorable(issues)) return yield* new InvalidOutput({ nodeId: context.stepId, issues, isFinal: true })
      refused ??= issues
    }
    const ending = endingOf(reply.finishReason, boundsOf(agent).rounds)
    const wrong =
      reply.text.trim() === "" && refused === undefined ? ["the reply is empty"] : (refused ?? [problem ?? "the reply is not JSON"])
    return Either.left(ending === undefined ? wrong : [ending, ...wrong])
  })

/** Finish reasons of replies without an answer, by the AI SDK's names. */
const endings: ReadonlyMap<string | undefined, string> = new Map([
  ["length", "the reply was cut off at its maximum length: give a shorter one"],
  ["content-filter", "the reply was stopped by the provider's content filter"],
  ["tool-calls", "the reply ended with tool calls and without an answer"],
])

/** The reason that a reply has no answer. An agent that may go on calling tools ends with calls only at its own bound. */
const endingOf = (finishReason: string | undefined, rounds: number | undefined): string | undefined => {
  const ending = endings.get(finishReason)
  return finishReason === "tool-calls" && rounds !== undefined
    ? `${ending}: ${rounds === 1 ? "its one round" : `all ${rounds} rounds`} of a call (maxSteps) are made, so answer with what you have`
    : ending
}

const valuesOf = ({ form, fits }: Instruction.Task, { text, output, finishReason }: Understood): Reply.Found => {
  if (form === "anything") return { values: [text], problem: undefined }
  // Agents without a schema also return their text as `output`, which is no value yet.
  const structured = output === undefined || output === text ? [] : [output]
  const found = finishReason === "length" ? Reply.findWhole(text) : Reply.find(text, fits)
  // A schema of strings may accept the empty one, but it is no answer.
  const literal = form === "text" && text.trim() !== "" ? [text, text.trim()] : []
  return { values: [...structured, ...literal, ...found.values], problem: found.problem }
}

/** Returns the error of the attempt, from the failures of all agents. */
const raise = (nodeId: string, failures: ReadonlyArray<Failure>): InvalidOutput | AgentFailed => {
  const invalid = failures.findLast((failure) => "issues" in failure)
  const troubled = failures.filter((failure) => "trouble" in failure)
  if (invalid !== undefined) {
    const others = failures.flatMap((failure) => {
      if (failure === invalid) return []
      return "issues" in failure
        ? `agent "${failure.agent}" returned no valid output: ${Instruction.shorten(failure.issues).join("; ")}`
        : `agent "${failure.agent}" failed: ${failure.trouble.reason}`
    })
    return new InvalidOutput({ nodeId, issues: invalid.issues, ...(others.length === 0 ? {} : { others }) })
  }
  // The next attempt asks all agents again, so it is worthwhile if it may help with any of them.
  const chief = troubled.findLast(({ trouble }) => trouble.retryable) ?? troubled.at(-1)
  if (chief === undefined) return new AgentFailed({ nodeId, agent: "none", reason: "the step has no agents", retryable: false })
  const { agent, cause } = chief
  const { reason, status, retryable } = chief.trouble
  const others = troubled.filter((failure) => failure !== chief).map((other) => ` ("${other.agent}": ${other.trouble.reason})`)
  const waits = troubled.flatMap(({ trouble }) => (trouble.retryable ? (trouble.retryAfterMs ?? []) : []))
  return new AgentFailed({
    nodeId,
    agent,
    reason: reason + others.join(""),
    retryable,
    isOwnCode: chief.trouble.isOwnCode,
    cause,
    ...defined({ status }),
    ...(waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) }),
  })
}
