/**
 * Asks agents for an output, within one attempt at a step: says what is wanted, reads the reply, has what is not valid put right in
 * the same conversation, and goes from agent to agent where there are several. What it cannot get is raised for the step's retry
 * policy: `InvalidOutput`, whose issues the next attempt's prompt carries, or `AgentFailed`, which says whether asking again can
 * help, and when.
 *
 * Agents of the AI SDK retry by themselves before they fail (`maxRetries`, 2 by default): those retries are not durable, and come
 * before the ones of the step.
 */
import * as Effect from "effect/Effect"
import type { AgentTurn, AnyAgent, CallContext, Message } from "./Agent.ts"
import { isSdkAgent, nameOf } from "./Agent.ts"
import { type Codec, type Issues, isUnstorable, type JsonSchema } from "./Codec.ts"
import { AgentFailed, InvalidOutput, NonRetryable } from "./Errors.ts"
import * as ProviderError from "./internal/providerError.ts"
import * as Raised from "./internal/raised.ts"
import * as Reply from "./internal/reply.ts"
import { kindOf } from "./JsonSchema.ts"
import * as Millis from "./Millis.ts"

/** What agents are asked for. */
export interface AgentCall {
  /** Asked in this order, each until it gives a valid output or cannot; at least one. */
  readonly agents: ReadonlyArray<AnyAgent>
  readonly prompt: string
  /** What the output must be. */
  readonly codec: Codec<unknown, unknown>
  /** No schema was declared: the text of the reply is the output, nothing is said of its form, and nothing is parsed. */
  readonly isText: boolean
  readonly context: Omit<CallContext, "outputSchema">
  /** Aborted when the attempt is interrupted. Agents get it as `abortSignal`; once it is aborted no agent is asked any more. */
  readonly signal: AbortSignal
  /** What was wrong with the reply that failed the attempt before this one, maybe in another process. */
  readonly feedback: ReadonlyArray<string>
  /** How often an agent is asked to put a reply right, in the same conversation, before it is given up for this attempt. */
  readonly corrections: number
  /** Takes each turn as it finishes, failing ones too. */
  readonly onTurn: (turn: AgentTurn) => void
}

/**
 * The default of `corrections`. Most slips of form are gone after one; what two have not mended, a third of the same conversation
 * hardly does, and a fresh one is cheaper than a long one.
 */
export const defaultCorrections = 2

/**
 * Succeeds with a value that `codec.accept` takes. Fails with `InvalidOutput` when an agent kept giving what is not valid, otherwise
 * with `AgentFailed`; with what the agent raised, as it is, once `signal` is aborted.
 */
export const run = (call: AgentCall): Effect.Effect<unknown, unknown, unknown> =>
  Effect.gen(function* () {
    const task = prepare(call)
    const failures: Array<Failure> = []
    for (const agent of call.agents) {
      const answer = yield* converse(call, task, agent)
      if ("value" in answer) return answer.value
      failures.push(answer)
    }
    return yield* Effect.fail(raise(call.context.stepId, failures))
  })

/** How the value is read from a reply, and so what is said of it. */
type Form = "anything" | "text" | "json"

interface Task {
  readonly form: Form
  readonly prompt: string
  readonly schema: JsonSchema | undefined
  /** Whether a value is of the kind that the schema asks for. */
  readonly fits: Reply.Fits
}

const prepare = ({ prompt, codec, isText, feedback }: AgentCall): Task => {
  const schema = isText ? undefined : rootOf(codec.inputSchema)
  const form = isText ? "anything" : schema?.type === "string" ? "text" : "json"
  const parts = [prompt, instruction(form, schema), feedback.length === 0 ? undefined : refusal(feedback)]
  return { form, schema, fits: kindOf(schema), prompt: parts.filter((part) => part !== undefined).join("\n\n") }
}

/** The schema without what says nothing of the value, and with its root in place where it is kept among the definitions. */
const rootOf = (document: JsonSchema | undefined): JsonSchema | undefined => {
  if (document === undefined) return undefined
  const { $schema: _dialect, ...schema } = document
  const [, keyword, name] = /^#\/(\$defs|definitions)\/([^/]+)$/.exec(String(schema.$ref)) ?? []
  if (keyword === undefined || name === undefined) return schema
  const definitions = schema[keyword] as { readonly [name: string]: JsonSchema } | undefined
  const root = definitions?.[name.replaceAll("~1", "/").replaceAll("~0", "~")]
  if (root === undefined) return schema
  const { $ref: _root, ...rest } = schema
  const areNeeded = JSON.stringify(definitions).includes('"$ref"')
  return areNeeded ? { ...rest, ...root } : root
}

const instruction = (form: Form, schema: JsonSchema | undefined): string | undefined => {
  if (form === "anything") return undefined
  if (form === "text") {
    const isPlain = Object.keys(schema ?? {}).every((keyword) => keyword === "type")
    return isPlain
      ? undefined
      : `Your whole reply is taken as the value, without quotes. It must match this JSON Schema:\n${print(schema)}`
  }
  const must = "Your reply must end with one JSON value, with nothing after it"
  return schema === undefined ? `${must}.` : `${must}. The value must match this JSON Schema:\n${print(schema)}`
}

/** Longest line of a printed schema, in characters, before it is broken up: short enough to read where prompts are shown. */
const lineWidth = 100

/** JSON with what fits on a line on one line: as readable as indented JSON, at a fraction of its tokens. */
const print = (value: unknown, indent = ""): string => {
  const line = JSON.stringify(value)
  if (typeof value !== "object" || value === null || line.length + indent.length <= lineWidth) return line
  const inner = `${indent}  `
  const members = Array.isArray(value)
    ? value.map((item) => inner + print(item, inner))
    : Object.entries(JSON.parse(line)).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${print(item, inner)}`)
  return Array.isArray(value) ? `[\n${members.join(",\n")}\n${indent}]` : `{\n${members.join(",\n")}\n${indent}}`
}

/** As many issues are told to an agent, each with as many characters: a list of a thousand bad items says no more than its start. */
const maxIssues = 20
const maxIssueLength = 500

const shorten = (issues: Issues): Issues => {
  const told = issues
    .slice(0, maxIssues)
    .map((issue) => (issue.length > maxIssueLength ? `${issue.slice(0, maxIssueLength)} …` : issue))
  return issues.length > maxIssues ? [...told, `and ${issues.length - maxIssues} more like these`] : told
}

const refusal = (issues: Issues): string =>
  `Your previous reply was not accepted:\n${shorten(issues)
    .map((issue) => `- ${issue}`)
    .join("\n")}`

const correction = (form: Form, issues: Issues): string =>
  `${refusal(issues)}\n\nReply again with the whole ${form === "json" ? "JSON value, corrected," : "text, corrected,"} and nothing else.`

/** Stands for a reply without text in a conversation: providers refuse empty messages. */
const nothingSaid = "(no text)"

/** Why an agent was given up. */
type Failure =
  | { readonly agent: string; readonly issues: Issues }
  | { readonly agent: string; readonly trouble: ProviderError.Trouble; readonly cause: unknown }

type Answer = { readonly value: unknown } | Failure

const converse = (call: AgentCall, task: Task, agent: AnyAgent): Effect.Effect<Answer, unknown, unknown> =>
  Effect.gen(function* () {
    const name = nameOf(agent)
    const messages: Array<Message> = []
    let prompt = task.prompt
    for (let repairs = 0; ; repairs++) {
      if (call.signal.aborted) return yield* Effect.fail(call.signal.reason)
      messages.push({ role: "user", content: prompt })
      const said = prompt
      const asked = yield* Effect.either(Effect.flatMap(ask(call, task, agent, messages), understand)).pipe(
        Effect.onInterrupt(() =>
          Effect.sync(() => call.onTurn({ agent: name, prompt: said, problem: "interrupted before it replied" })),
        ),
      )
      if (asked._tag === "Left") {
        const trouble = ProviderError.read(asked.left, yield* Millis.now)
        call.onTurn({ agent: name, prompt, problem: trouble.reason })
        if (call.signal.aborted) return yield* Effect.fail(asked.left)
        return { agent: name, trouble, cause: asked.left }
      }
      const reply = asked.right
      const turn = { agent: name, prompt, reply: reply.text, ...reply.counts }
      const judged = yield* Effect.onError(judge(call, task, reply), () =>
        Effect.sync(() => call.onTurn({ ...turn, problem: "the reply could not be checked" })),
      )
      if ("value" in judged) {
        call.onTurn(turn)
        return judged
      }
      call.onTurn({ ...turn, problem: shorten(judged.issues).join("; ") })
      if (repairs >= call.corrections) return { agent: name, issues: judged.issues }
      messages.push({ role: "assistant", content: reply.text.trim() === "" ? nothingSaid : reply.text })
      prompt = correction(task.form, judged.issues)
    }
  })

const ask = (call: AgentCall, task: Task, agent: AnyAgent, messages: ReadonlyArray<Message>): Effect.Effect<unknown, unknown> =>
  Effect.async((resume) => {
    const prompt = messages.at(-1)?.content ?? task.prompt
    const conversation = messages.length === 1 ? undefined : [...messages]
    const context = agent.wantsContext ? { context: { ...call.context, outputSchema: task.schema } } : {}
    const others = { abortSignal: call.signal, ...context }
    try {
      const promised: unknown = isSdkAgent(agent)
        ? agent.generate(conversation === undefined ? { prompt, ...others } : { messages: conversation, ...others })
        : agent.generate({ prompt, ...(conversation === undefined ? {} : { messages: conversation }), ...others })
      if (!isThenable(promised)) {
        const message = `its "generate" returned ${Raised.show(promised)} and not a promise of a reply`
        return resume(Effect.fail(new NonRetryable({ message })))
      }
      promised.then(
        (reply) => resume(Effect.succeed(reply)),
        (reason: unknown) => resume(isReply(reason) ? Effect.succeed(reason) : Effect.fail(reason)),
      )
    } catch (thrown) {
      resume(Effect.fail(thrown))
    }
  })

/** The AI SDK throws a reply away that is not the object it was told to expect; the error has what a reply has. */
const isReply = (reason: unknown): boolean =>
  field(reason, "name") === "AI_NoObjectGeneratedError" && typeof field(reason, "text") === "string"

const isThenable = (value: unknown): value is PromiseLike<unknown> =>
  typeof value === "object" && value !== null && "then" in value && typeof value.then === "function"

/** What counts of a reply, read once. */
interface Understood {
  readonly text: string
  readonly output: unknown
  readonly finishReason: string | undefined
  /** What is kept of the reply beside its text. */
  readonly counts: Pick<AgentTurn, "model" | "finishReason" | "inputTokens" | "outputTokens" | "totalTokens">
}

const understand = (reply: unknown): Effect.Effect<Understood, NonRetryable> => {
  const text = field(reply, "text")
  if (typeof text !== "string") {
    const message = `it replied with ${Raised.show(reply)} whose "text" is ${Raised.show(text)}: a reply is { text: string, … }`
    return Effect.fail(new NonRetryable({ message }))
  }
  const usage = field(reply, "usage")
  const [model, finishReason] = [field(field(reply, "response"), "modelId"), field(reply, "finishReason")].map(textual)
  const [inputTokens, outputTokens, totalTokens] = ["inputTokens", "outputTokens", "totalTokens"].map((name) =>
    count(field(usage, name)),
  )
  const counts = {
    ...(model === undefined ? {} : { model }),
    ...(finishReason === undefined ? {} : { finishReason }),
    ...(inputTokens === undefined ? {} : { inputTokens }),
    ...(outputTokens === undefined ? {} : { outputTokens }),
    ...(totalTokens === undefined ? {} : { totalTokens }),
  }
  return Effect.succeed({ text, output: field(reply, "output"), finishReason, counts })
}

/** Reads a field that may be a getter that throws, as the AI SDK's `output` does where there is none. */
const field = (target: unknown, name: string): unknown => {
  if (typeof target !== "object" || target === null) return undefined
  try {
    return (target as Record<string, unknown>)[name]
  } catch {
    return undefined
  }
}

const textual = (value: unknown): string | undefined => (typeof value === "string" ? value : undefined)

const count = (value: unknown): number | undefined => (typeof value === "number" && Number.isFinite(value) ? value : undefined)

type Judged = { readonly value: unknown } | { readonly issues: Issues }

/** Takes the first value in the reply that is valid, or says what is wrong with the one that was most likely meant. */
const judge = ({ codec, context }: AgentCall, task: Task, reply: Understood): Effect.Effect<Judged, InvalidOutput, unknown> =>
  Effect.gen(function* () {
    const { values, problem } = valuesOf(task, reply)
    let refused: Issues | undefined
    for (const value of values) {
      const issues = yield* Effect.match(codec.accept(value), { onFailure: (issues) => issues, onSuccess: () => undefined })
      if (issues === undefined) return { value }
      // The schema accepts it and makes of it what cannot be stored: no agent can put that right.
      if (isUnstorable(issues)) return yield* new InvalidOutput({ nodeId: context.stepId, issues, isFinal: true })
      refused ??= issues
    }
    const ending = endings.get(reply.finishReason)
    const wrong =
      reply.text.trim() === "" && refused === undefined ? ["the reply is empty"] : (refused ?? [problem ?? "the reply is not JSON"])
    return { issues: ending === undefined ? wrong : [ending, ...wrong] }
  })

/** How replies end that are not what was asked for; a matter of the AI SDK's names. */
const endings: ReadonlyMap<string | undefined, string> = new Map([
  ["length", "the reply was cut off at the limit of its length: give a shorter one"],
  ["content-filter", "the reply was stopped by the provider's content filter"],
  ["tool-calls", "the reply ended with calls of tools and without an answer"],
  ["error", "the reply ended with an error of the provider"],
])

const valuesOf = ({ form, fits }: Task, { text, output, finishReason }: Understood): Reply.Found => {
  if (form === "anything") return { values: [text], problem: undefined }
  // Agents that were asked for no structure give their text as `output` too: that is no value yet.
  const structured = output === undefined || output === text ? [] : [output]
  const found = finishReason === "length" ? Reply.findWhole(text) : Reply.find(text, fits)
  // A schema of strings may well take the empty one, but it is no answer.
  const literal = form === "text" && text.trim() !== "" ? [text, text.trim()] : []
  return { values: [...structured, ...literal, ...found.values], problem: found.problem }
}

/** The error of the attempt, from what each agent failed with. */
const raise = (nodeId: string, failures: ReadonlyArray<Failure>): InvalidOutput | AgentFailed => {
  const invalid = failures.findLast((failure) => "issues" in failure)
  const troubled = failures.filter((failure) => "trouble" in failure)
  if (invalid !== undefined) {
    const others = failures.flatMap((failure) => {
      if (failure === invalid) return []
      return "issues" in failure
        ? `agent "${failure.agent}" gave no valid output: ${shorten(failure.issues).join("; ")}`
        : `agent "${failure.agent}" could not be asked: ${failure.trouble.reason}`
    })
    return new InvalidOutput({ nodeId, issues: invalid.issues, ...(others.length === 0 ? {} : { others }) })
  }
  // The next attempt asks the whole chain again: it is worth making where it could help with any of them.
  const chief = troubled.findLast(({ trouble }) => trouble.retryable) ?? troubled.at(-1)
  if (chief === undefined)
    return new AgentFailed({ nodeId, agent: "none", reason: "the step has no agents to ask", retryable: false })
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
    ...(status === undefined ? {} : { status }),
    ...(waits.length === 0 ? {} : { retryAfterMs: Math.min(...waits) }),
  })
}
