/**
 * Bounds that hold where an author gives none: the one table of them. What enforces a bound, shows it in a plan, prints it in help or
 * documents it reads it here.
 */

/** A bound that holds by default. */
export interface Bound {
  /** The default. */
  readonly limit: number
  readonly unit: "count" | "milliseconds" | "bytes"
  /** The bounded thing, after its number. */
  readonly of: string
  /** The option that changes it; `Infinity` lifts a count. */
  readonly option: string
  /** The place of the option. */
  readonly where: string
  /** Name of the stored error; `undefined` for what is cut or told to a model. */
  readonly error: string | undefined
  /** The reaction, as a phrase. */
  readonly reaction: string
}

const bounds = {
  passes: {
    limit: 5,
    unit: "count",
    of: "passes of a loop",
    option: "maxIterations",
    where: "`<Loop>`; `$.loop` has no default, and requires it",
    error: "LoopLimitReached",
    reaction: "the run fails; with `onMaxReached` the last output counts, as exhausted",
  },
  items: {
    limit: 10_000,
    unit: "count",
    of: "items of a list",
    option: "maxItems",
    where: "`$.map`, `<ForEach>`",
    error: "TooManyItems",
    reaction: "the list fails before any new item begins",
  },
  branches: {
    limit: 10_000,
    unit: "count",
    of: "children of a group",
    option: "maxItems",
    where: "`$.parallel`, `<Parallel>`",
    error: "InvalidWorkflow",
    reaction: "the plan is refused, and the run is suspended as it was",
  },
  depth: {
    limit: 50,
    unit: "count",
    of: "runs above a child run",
    option: "maxDepth",
    where: "`$.subflow`, `<Subflow>`",
    error: "ChildRunsTooDeep",
    reaction: "the child run does not start",
  },
  attempts: {
    limit: 4,
    unit: "count",
    of: "attempts of a step",
    option: "retry.maxAttempts",
    where: "a step, `<Task>`",
    error: "StepFailed",
    reaction: "the step fails with its last error",
  },
  interruptions: {
    limit: 5,
    unit: "count",
    of: "attempts in a row that end with their process",
    option: "none",
    where: "",
    error: "CrashLoop",
    reaction: "the step fails, since it seems to end its process",
  },
  agentCalls: {
    limit: 200,
    unit: "count",
    of: "calls of models by a step in an iteration",
    option: "budget.agentCalls",
    where: "a step with an agent: all attempts, corrections and rounds of tools, one number",
    error: "BudgetExceeded",
    reaction: "the step fails before the next call, without a retry",
  },
  toolCalls: {
    limit: 1_000,
    unit: "count",
    of: "calls of tools by a step in an iteration",
    option: "budget.toolCalls",
    where: "a step with an agent: all attempts together",
    error: "BudgetExceeded",
    reaction: "the step fails before the next call, without a retry",
  },
  corrections: {
    limit: 2,
    unit: "count",
    of: "corrections of a reply in an attempt",
    option: "corrections",
    where: "a step with an agent",
    error: "InvalidOutput",
    reaction: "the next agent is asked, or the attempt fails",
  },
  rounds: {
    limit: 20,
    unit: "count",
    of: "answers of a model in a call of its agent",
    option: "maxSteps",
    where: "`createAgent`",
    error: "InvalidOutput",
    reaction: "the agent is told to answer, which is a correction",
  },
  repetitions: {
    limit: 5,
    unit: "count",
    of: "equal calls of a tool in a row",
    option: "isPolling, loopKey",
    where: "`defineTool`",
    error: "AgentFailed",
    reaction: "the model is told at the third; then the agent is stopped as stalled",
  },
  silence: {
    limit: 15 * 60_000,
    unit: "milliseconds",
    of: "without progress of a command-line agent",
    option: "idleTimeout",
    where: "a command-line agent",
    error: "AgentFailed",
    reaction: "the program is ended as stalled; the next agent is asked, or the step is retried",
  },
  programTime: {
    limit: 2 * 3_600_000,
    unit: "milliseconds",
    of: "for a call of a command-line agent",
    option: "timeout",
    where: "a command-line agent",
    error: "AgentFailed",
    reaction: "the program is ended; the next agent is asked, or the step is retried",
  },
  toolResult: {
    limit: 40_000,
    unit: "bytes",
    of: "of a tool's result that a model gets",
    option: "maxResultBytes",
    where: "`defineTool`, `mcpServer`, `tools` of the runtime",
    error: undefined,
    reaction: "it is cut, and says how much is left out; the whole of it is stored",
  },
  commandTime: {
    limit: 2 * 60_000,
    unit: "milliseconds",
    of: "for a command of a tool",
    option: "timeoutSeconds",
    where: "input of `bash`, at most 30 minutes",
    error: undefined,
    reaction: "it is killed, and the model is told",
  },
  commandOutput: {
    limit: 64 * 1024 ** 2,
    unit: "bytes",
    of: "that a command of a tool writes",
    option: "maxOutputBytes",
    where: "`tools` of the runtime",
    error: undefined,
    reaction: "it is killed, and the model is told",
  },
  commandMemory: {
    limit: 4 * 1024 ** 3,
    unit: "bytes",
    of: "of memory of a command of a tool",
    option: "maxMemoryBytes",
    where: "`tools` of the runtime",
    error: undefined,
    reaction: "it is killed, and the model is told",
  },
  commandProcesses: {
    limit: 512,
    unit: "count",
    of: "processes of a command at once",
    option: "maxProcesses",
    where: "`tools` of the runtime",
    error: undefined,
    reaction: "it starts no more of them, or is killed",
  },
  commandFile: {
    limit: 4 * 1024 ** 3,
    unit: "bytes",
    of: "of a file that a command writes",
    option: "maxFileBytes",
    where: "`tools` of the runtime",
    error: undefined,
    reaction: "the kernel ends the process",
  },
  toolAnswer: {
    limit: 2 * 60_000,
    unit: "milliseconds",
    of: "for the answer of an MCP server",
    option: "timeout",
    where: "`mcpServer`",
    error: undefined,
    reaction: "the call fails, and the model is told",
  },
  score: {
    limit: 5 * 60_000,
    unit: "milliseconds",
    of: "for a score",
    option: "timeout",
    where: "a scorer",
    error: undefined,
    reaction: "the score counts as failed; the run does not wait for it",
  },
} as const satisfies { readonly [name: string]: Bound }

/** Name of a bound. */
export type Name = keyof typeof bounds

/** All bounds that hold by default, by name. */
export const byDefault: { readonly [N in Name]: Bound } = bounds

/** Names of all bounds, in the order of the reference. */
export const names = Object.keys(bounds) as ReadonlyArray<Name>

/** Returns the default of a bound. */
export const limitOf = (name: Name): number => bounds[name].limit

const spans = [
  [3_600_000, "hour"],
  [60_000, "minute"],
  [1000, "second"],
] as const

const sizes = [
  [1024 ** 3, "GiB"],
  [1024 ** 2, "MiB"],
] as const

const grouped = (amount: number): string => String(amount).replaceAll(/\B(?=(\d{3})+(?!\d))/g, ",")

/** Formats an amount of a bound with its unit. */
export const amountText = (name: Name, amount: number): string => {
  if (amount === Number.POSITIVE_INFINITY) return "no limit"
  const { unit } = byDefault[name]
  if (unit === "milliseconds") {
    const [per, word] = spans.find(([per]) => amount % per === 0) ?? [1, "ms"]
    return word === "ms" ? `${grouped(amount)} ms` : `${grouped(amount / per)} ${word}${amount === per ? "" : "s"}`
  }
  if (unit === "bytes") {
    const [per, word] = sizes.find(([per]) => amount % per === 0) ?? [1, "bytes"]
    return `${grouped(amount / per)} ${word}`
  }
  return grouped(amount)
}

/** Formats a bound as a phrase, such as `5 passes of a loop`. */
export const text = (name: Name, amount: number = limitOf(name)): string => {
  const { of: many, unit } = byDefault[name]
  const of = unit === "count" && amount === 1 ? many.replace(/^(\w+?)(?:(?<=ss)es|s)\b/, "$1") : many
  return amount === Number.POSITIVE_INFINITY ? `no limit: ${of}` : `${amountText(name, amount)} ${of}`
}
