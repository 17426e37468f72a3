/**
 * Commands that print conversations of agents, and the calls of their tools.
 */
import type { ToolCallRecord, TranscriptEntry } from "@smithers/core/AgentJournal"
import { resolveNodeId } from "@smithers/core/Commands"
import * as Lineage from "@smithers/core/Lineage"
import * as Status from "@smithers/core/Status"
import type { StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { commandLine } from "@smithers/server/views/CommandLine"
import { clock, neutralise, oneLine, plural, shorten, span } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import { connectRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { Screen, widthOf } from "../Screen.ts"
import { table } from "../Table.ts"
import { noSuchNode } from "./inspect.ts"

interface ChatOptions {
  readonly db: string | undefined
  readonly run: string
  readonly node: string | undefined
  readonly iteration: number | undefined
  readonly follow: boolean
}

const emptyReply: Reply = { value: undefined, text: "" }

/** Longest text of a tool, in characters. Prompts and replies are printed whole. */
const longestShown = 2000

/** Prints the conversations of a run as they happened, of a fork those that it has inherited, too; with `follow` also as they go on, until the run has ended. */
export const chat = ({ db, run, node, iteration, follow }: ChatOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const { storage, runId } = yield* connectRun(db, run)
      const filter = yield* filterOf(storage, { runId, node, iteration, isFuture: follow })
      const printed = new Set<string>()
      const inherited = yield* inheritedBy(storage, filter)
      const begun = yield* beginnings(storage, [runId, ...inherited.map((conversation) => conversation.runId)])
      let last: string | undefined
      const printNew = Effect.gen(function* () {
        const entries = [...inherited, ...(yield* ownOf(storage, filter))].flatMap((conversation) =>
          conversation.entries.map((entry) => ({ conversation, entry })),
        )
        for (const { conversation, entry } of entries.sort((left, right) => left.entry.at - right.entry.at)) {
          const conversationKey = JSON.stringify([conversation.runId, entry.nodeId, entry.iteration, entry.conversation])
          const key = `${conversationKey} ${entry.seq}`
          if (printed.has(key)) continue
          printed.add(key)
          const heading =
            conversationKey === last ? [] : [...(last === undefined ? [] : [""]), headingOf(conversation, entry, runId)]
          last = conversationKey
          const value = screen.isJson ? { runId: conversation.runId, agent: conversation.agent, ...entry } : undefined
          yield* screen.print(value, [...heading, ...linesOf(entry, begun.get(conversation.runId) ?? 0)].join("\n"))
        }
      })
      for (let version = -1; ; ) {
        const isOver = !follow || (yield* hasEnded(storage, runId))
        yield* printNew
        if (isOver) break
        version = yield* storage.changes(version)
      }
      if (printed.size === 0 && !screen.isJson) {
        const where = node === undefined ? `Run ${oneLine(runId)}` : `Node "${oneLine(node)}" of run ${oneLine(runId)}`
        yield* screen.print(undefined, `${where} has no conversation of an agent.`)
      }
      return emptyReply
    }),
  )

interface Choice {
  readonly runId: string
  readonly node: string | undefined
  readonly iteration: number | undefined
  /** `true` if the node may begin later. */
  readonly isFuture: boolean
}

/** The conversations that are meant. Fails for a node that the run does not have. */
const filterOf = (storage: StorageShape, { runId, node, iteration, isFuture }: Choice) =>
  Effect.gen(function* () {
    if (node === undefined) return { runId, ...defined({ iteration }) }
    const { nodes } = yield* storage.inspect(runId)
    const nodeId = resolveNodeId(node, nodes)
    const isThere = nodes.some((one) => one.nodeId === nodeId && (iteration ?? one.iteration) === one.iteration)
    if (!isThere && !isFuture) return yield* noSuchNode(runId, node, iteration, nodes)
    return { runId, nodeId, ...defined({ iteration }) }
  })

type Filter = Effect.Effect.Success<ReturnType<typeof filterOf>>

/** The conversations of the run itself. */
const ownOf = (storage: StorageShape, filter: Filter) =>
  Effect.map(storage.conversations(filter), (found) =>
    found.map((conversation): Lineage.ConversationOfRun => ({ ...conversation, runId: filter.runId })),
  )

/** The conversations that a fork has inherited. */
const inheritedBy = (storage: StorageShape, { runId, ...filter }: Filter) =>
  Effect.gen(function* () {
    const all = yield* Lineage.conversations({ store: storage, journal: storage }, yield* storage.load(runId), filter)
    return all.filter((conversation) => conversation.runId !== runId)
  })

/** The times at which runs began. */
const beginnings = (storage: StorageShape, runIds: ReadonlyArray<string>) =>
  Effect.map(
    Effect.forEach(new Set(runIds), (runId) => Effect.map(storage.run(runId), ({ run }) => [runId, run.createdAt] as const)),
    (times) => new Map(times),
  )

const hasEnded = (storage: StorageShape, runId: string) => Effect.map(storage.run(runId), ({ run }) => Status.isEnded(run.status))

const headingOf = (
  { agent, nodeId, iteration, status, failure, runId: of }: Lineage.ConversationOfRun,
  { attempt }: TranscriptEntry,
  runId: string,
): string => {
  const pass = iteration === 0 ? "" : `, iteration ${iteration}`
  const reason = reasonOf(failure)
  const end =
    status === "superseded" || status === "failed" ? ` (${status}${reason === undefined ? "" : `: ${oneLine(reason)}`})` : ""
  return `── ${oneLine(nodeId)}: ${oneLine(agent)}, attempt ${attempt}${pass}${end}${of === runId ? "" : `, of run ${oneLine(of)}`} ──`
}

const reasonOf = (failure: unknown): string | undefined =>
  typeof failure === "object" && failure !== null && "reason" in failure && typeof failure.reason === "string"
    ? failure.reason
    : undefined

/** Formats an entry, with the time and a sign for its kind. */
const linesOf = (entry: TranscriptEntry, createdAt: number): ReadonlyArray<string> => {
  const { at, kind, text, tool } = entry
  const time = clock(at - createdAt)
  switch (kind) {
    case "prompt":
      return [`${time} ▸ prompt`, ...indented(text)]
    case "reply":
      return [`${time} ◂ reply${tokensOf(entry)}`, ...partsOf(text)]
    case "text":
      return [`${time} ◂ reply${tokensOf(entry)}`, ...indented(text)]
    case "reasoning":
      return [`${time} ◂ reasoning`, ...indented(text)]
    case "tool-call":
      return [`${time} → ${oneLine(tool ?? "")}(${shorten(oneLine(text), longestShown)})`]
    case "tool-result":
      return [`${time} ← ${oneLine(tool ?? "")}`, ...indented(shorten(textOf(text), longestShown))]
    case "error":
      return [`${time} ✗ ${oneLine(text)}`]
    case "note":
      return [`${time} · ${oneLine(text)}`]
  }
}

const tokensOf = ({ model, inputTokens, outputTokens }: TranscriptEntry): string => {
  const tokens =
    inputTokens === undefined && outputTokens === undefined ? [] : [`${inputTokens ?? 0} + ${outputTokens ?? 0} tokens`]
  const about = [...(model === undefined ? [] : [oneLine(model)]), ...tokens]
  return about.length === 0 ? "" : ` (${about.join(", ")})`
}

const indented = (text: string): ReadonlyArray<string> =>
  neutralise(text)
    .split("\n")
    .map((line) => `  ${line}`)

/** The text of a JSON string, or the JSON itself. */
const textOf = (json: string): string => {
  const value = parse(json)
  return typeof value === "string" ? value : json
}

const parse = (json: string): unknown => {
  try {
    return JSON.parse(json)
  } catch {
    return json
  }
}

/** The texts and calls in a recorded reply. */
const partsOf = (json: string): ReadonlyArray<string> => {
  const reply = parse(json)
  const own = fieldOf(reply, "content") ?? reply
  const parts: ReadonlyArray<unknown> = Array.isArray(own) ? own : []
  const lines = parts.flatMap((part): ReadonlyArray<string> => {
    const text = fieldOf(part, "text") ?? fieldOf(part, "delta")
    switch (fieldOf(part, "type")) {
      case "text":
      case "text-delta":
        return typeof text === "string" ? indented(text) : []
      case "reasoning":
      case "reasoning-delta":
        return typeof text === "string" && text !== "" ? indented(`(${text})`) : []
      case "tool-call":
        return [
          `  → ${oneLine(String(fieldOf(part, "toolName")))}(${shorten(oneLine(String(fieldOf(part, "input"))), longestShown)})`,
        ]
      default:
        return []
    }
  })
  const text = fieldOf(reply, "text")
  return lines.length === 0 && typeof text === "string" ? indented(text) : lines
}

const fieldOf = (value: unknown, name: string): unknown =>
  typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined

interface ToolsOptions {
  readonly db: string | undefined
  readonly run: string
  readonly node: string | undefined
  readonly iteration: number | undefined
}

/** Lists the calls of tools that the agents of a run have made. */
export const tools = ({ db, run, node, iteration }: ToolsOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const { storage, runId } = yield* connectRun(db, run)
      const filter = yield* filterOf(storage, { runId, node, iteration, isFuture: false })
      const found = [...(yield* inheritedBy(storage, filter)), ...(yield* ownOf(storage, filter))]
      const begun = yield* beginnings(storage, [runId, ...found.map((conversation) => conversation.runId)])
      const calls = found
        .flatMap(({ calls, agent, runId }) => calls.map((call) => ({ ...call, agent, runId })))
        .sort((left, right) => left.startedAt - right.startedAt)
      const unknown = calls.filter(({ status }) => status === "unknown").length
      const text =
        calls.length === 0
          ? "No agent of this run has called a tool."
          : [
              table(
                ["STARTED", "NODE", "TOOL", "STATUS", "TIME", "INPUT", "OUTPUT"],
                calls.map((call) => rowOf(call, begun.get(call.runId) ?? 0)),
                widthOf(screen),
              ),
              `${plural(calls.length, "call")}${unknown === 0 ? "" : `, ${unknown} with an unknown outcome`}. Whole texts: ${commandLine(db, "chat", [runId])}`,
            ].join("\n")
      return { value: { runId, calls }, text }
    }),
  )

const rowOf = (call: ToolCallRecord, createdAt: number): ReadonlyArray<string> => {
  const { nodeId, iteration, tool, status, startedAt, endedAt, input, output, by } = call
  const label = iteration === 0 ? nodeId : `${nodeId} (iteration ${iteration})`
  const decided = by === undefined ? "" : ` (${oneLine(by)})`
  const time = endedAt === undefined ? "" : span(endedAt - startedAt)
  return [
    clock(startedAt - createdAt),
    oneLine(label),
    oneLine(tool),
    `${status}${decided}`,
    time,
    shorten(oneLine(input), 60),
    shorten(oneLine(textOf(output ?? "")), 60),
  ]
}
