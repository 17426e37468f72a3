/**
 * Commands that decide, answer and send signals.
 */

import * as BudgetCommands from "@smithers/core/BudgetCommands"
import type { JsonSchema } from "@smithers/core/Codec"
import * as Commands from "@smithers/core/Commands"
import { NotWaiting, RunEnded } from "@smithers/core/Errors"
import type { WaitSummary } from "@smithers/core/RunReader"
import * as Status from "@smithers/core/Status"
import { ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { commandLine } from "@smithers/server/views/CommandLine"
import { questionLines } from "@smithers/server/views/Question"
import { isFor, missText, signalText } from "@smithers/server/views/Signalled"
import { oneLine, plural, span } from "@smithers/server/views/Text"
import { awaitedBy } from "@smithers/server/views/Waits"
import { askLines, commandsFor } from "@smithers/server/views/Why"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { connect, connectNewestRun, connectWholeRun, type FoundRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage, SeveralWaits } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import * as Input from "../Input.ts"
import { Screen } from "../Screen.ts"
import { userName } from "../User.ts"
import { receipt } from "./receipt.ts"

interface Decision {
  readonly db: string | undefined
  readonly run: string
  readonly node: string | undefined
  readonly iteration: number | undefined
  readonly request: string | undefined
  readonly note: string | undefined
  readonly by: string | undefined
}

/** The parts of a request that a command names: node, iteration, id, or none. */
type Named = Pick<Decision, "db" | "node" | "iteration" | "request">

/**
 * Returns the request that a command means: the one with the given id or, without one, the only match. A person without an id may
 * have seen an earlier request. So if several have matched so far, it fails, unless the request can be shown (`toShow`) and
 * confirmed first. Returns no wait if the run never asked.
 */
const requestOf = (
  { runId, storage }: FoundRun,
  kind: "approval" | "human",
  decision: Named,
  command: "approve" | "deny" | "answer",
  canShow: boolean,
) =>
  Effect.gen(function* () {
    const waits = yield* storage.waits({ runId, kind: [kind], all: true, limit: Number.MAX_SAFE_INTEGER })
    const nodeId = decision.node === undefined ? undefined : Commands.resolveNodeId(decision.node, waits)
    const meant = waits.filter(
      (wait) =>
        (nodeId === undefined || wait.nodeId === nodeId) &&
        (decision.iteration === undefined || wait.iteration === decision.iteration),
    )
    const open = meant.filter(({ status, isAnswered }) => status === "open" && !isAnswered)
    const sure = (wait: WaitSummary | undefined) => ({ wait: wait ?? open[0] ?? meant.at(-1), toShow: false })
    if (decision.request !== undefined) return sure(meant.find(({ requestId }) => requestId === decision.request))
    const [only] = open
    // A person who saw one of the others has also seen this one.
    const isFirst = (wait: WaitSummary) => wait.requestCount === 1 && wait.since >= (only?.since ?? 0)
    if (open.length === 0 || (open.length === 1 && meant.every(isFirst))) return sure(only)
    if (canShow && open.length === 1) return { wait: only, toShow: true }
    return yield* new SeveralWaits({
      runId,
      nodes: [...new Set(meant.map((wait) => wait.nodeId))],
      open: open.map((wait) => ({
        nodeId: wait.nodeId,
        iteration: wait.iteration,
        requestId: wait.requestId ?? "",
        question: questionLines(wait),
        command: commandsFor(wait, decision.db).find((line) => line.startsWith(`smithers ${command} `)) ?? "",
      })),
    })
  })

/** Fails with the reason why a run has nothing to decide, for a command without a node. */
const nothingAsked = ({ runId, storage }: FoundRun) =>
  Effect.gen(function* () {
    const { run } = yield* storage.run(runId)
    if (Status.isEnded(run.status)) return yield* new RunEnded({ runId, status: run.status })
    const open = yield* storage.waits({ runId })
    return yield* new NotWaiting({ runId, open: open.map((wait) => `${wait.kind} "${wait.nodeId}"`) })
  })

/** Formats a decision with its request, author and note. */
const decided = (did: string, { runId, nodeId, iteration, by, note, selected }: Commands.DecisionReceipt): string => {
  const pass = iteration === 0 ? "" : ` (iteration ${iteration})`
  const chosen = selected === undefined ? "" : `, with ${JSON.stringify(selected)} selected`
  return `${did} "${nodeId}"${pass} of run ${runId}${chosen}${by === undefined ? "" : ` by ${by}`}${note === undefined ? "" : `, with the note ${JSON.stringify(note)}`}`
}

/** A decision as given to the command, which takes the node as an argument or as an option. */
interface GivenDecision extends Decision {
  readonly nodeOption: string | undefined
  readonly amount?: string | undefined
  readonly choose?: string | undefined
}

const decide =
  (command: "approve" | "deny", say: typeof BudgetCommands.allow) =>
  ({ nodeOption, amount, choose, ...parameters }: GivenDecision) =>
    Effect.scoped(
      Effect.gen(function* () {
        if (nodeOption !== undefined && parameters.node !== undefined && nodeOption !== parameters.node)
          return yield* new InvalidUsage({
            problem: `The argument names the node "${parameters.node}", and --node names "${nodeOption}": give one of them`,
            command,
          })
        const decision: Decision = { ...parameters, node: parameters.node ?? nodeOption }
        const screen = yield* Screen
        // A request that is named is one of the run that made it.
        const connectTo = decision.request === undefined ? connectNewestRun : connectWholeRun
        const found = yield* connectTo(decision.db, decision.run)
        const { wait: meant, toShow } = yield* requestOf(found, "approval", decision, command, screen.canAsk)
        const nodeId = decision.node ?? meant?.nodeId ?? (yield* nothingAsked(found))
        if (toShow && meant !== undefined) {
          yield* screen.log([`${nodeId} (iteration ${meant.iteration}):`, ...questionLines(meant)].join("\n"))
          const { confirm } = yield* Effect.promise(() => import("../Ask.ts"))
          if (!(yield* confirm(`${command === "approve" ? "Approve" : "Deny"} this?`)))
            return { value: undefined, text: "No decision was made.", code: Exit.input } satisfies Reply
        }
        const by = decision.by ?? userName()
        // Decides only on the request that was looked up or named.
        const request = decision.request ?? meant?.requestId ?? undefined
        const options = {
          ...defined({ iteration: decision.iteration, request, note: decision.note, by, choose }),
        }
        const more = amount === undefined ? {} : { amount: Number(amount) }
        const said = yield* Effect.provide(say(found.runId, nodeId, { ...options, ...more }), ports(found.storage))
        return yield* receipt(found, {
          command,
          nodeId: said.nodeId,
          iteration: said.iteration,
          db: decision.db,
          did: decided(command === "approve" ? "Approved" : "Denied", said),
          decision: { ...decisionOf(said), approved: command === "approve", note: said.note ?? null },
          question: questionLines({ kind: "approval", request: said.request }),
        })
      }),
    )

const decisionOf = ({ requestId, request, by, at }: Commands.DecisionReceipt) => ({
  ...(requestId === null ? {} : { requestId }),
  request,
  by: by ?? null,
  at,
})

export const approve = decide("approve", BudgetCommands.allow)

export const deny = decide("deny", Commands.deny)

export const answer = (asked: {
  readonly db: string | undefined
  readonly run: string
  readonly node: string
  readonly value: string | undefined
  readonly iteration: number | undefined
  readonly request: string | undefined
  readonly by: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const found = yield* (asked.request === undefined ? connectNewestRun : connectWholeRun)(asked.db, asked.run)
      const { runId, storage } = found
      const isTyped = asked.value === undefined
      if (isTyped && !screen.canAsk)
        return yield* new InvalidUsage({
          problem: "There is no terminal to prompt in. Give the answer with --value",
          command: "answer",
        })
      const { wait: meant } = yield* requestOf(found, "human", asked, "answer", isTyped)
      const request = asked.request ?? meant?.requestId ?? undefined
      const by = asked.by ?? userName()
      const options = {
        ...defined({ iteration: asked.iteration, request, by }),
      }
      let value: unknown
      if (asked.value !== undefined) value = yield* Input.read("--value", asked.value)
      else if (meant?.status === "open" && !meant.isAnswered && meant.requestId === request) {
        yield* screen.log(questionLines(meant).join("\n"))
        const { ask } = yield* Effect.promise(() => import("../Ask.ts"))
        value = yield* ask(schemaOf(meant) ?? {})
      }
      const said = yield* Effect.provide(Commands.answer(runId, asked.node, value, options), ports(storage))
      return yield* receipt(found, {
        command: "answer",
        nodeId: said.nodeId,
        iteration: said.iteration,
        db: asked.db,
        did: decided("Answered", said),
        decision: decisionOf(said),
        question: questionLines({ kind: "human", request: said.request }),
      })
    }),
  )

/** Returns the schema of the answer, as stored with the request. */
const schemaOf = (wait: WaitSummary | undefined): JsonSchema | undefined => {
  const request = wait?.request
  if (typeof request !== "object" || request === null || !("schema" in request)) return undefined
  const { schema } = request
  return typeof schema === "object" && schema !== null ? (schema as JsonSchema) : undefined
}

export const signal = (asked: {
  readonly db: string | undefined
  readonly run: string
  readonly name: string
  readonly data: string | undefined
  readonly correlation: string | undefined
  readonly id: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const payload = asked.data === undefined ? undefined : yield* Input.read("--data", asked.data)
      const found = yield* connectNewestRun(asked.db, asked.run)
      const options = {
        ...defined({ payload, correlation: asked.correlation, id: asked.id }),
      }
      // Read before sending, since the wait closes when it receives the signal.
      const all = yield* awaitedBy(found.storage, found.runId)
      const waits = all.filter((wait) => wait.kind === "signal" && wait.runId === found.runId)
      yield* Effect.provide(Commands.signal(found.runId, asked.name, options), ports(found.storage))
      const sent = { name: asked.name, correlation: asked.correlation }
      const isAwaited = waits.some((wait) => isFor(wait, sent))
      const why = isAwaited ? "" : missText(found.runId, sent, all)
      const hint = `No node waits for it now. It is stored${why === "" ? "" : `: ${why}`}.`
      return yield* receipt(found, {
        command: "signal",
        nodeId: undefined,
        iteration: undefined,
        db: asked.db,
        did: `Sent signal ${signalText(sent)} to run ${found.runId}`,
        question: isAwaited ? [] : [oneLine(hint)],
        signal: {
          isAwaited,
          awaits: waits.map(({ nodeId, iteration, name, correlation }) => ({ nodeId, iteration, name: name ?? "", correlation })),
        },
      })
    }),
  )

/** Default for `--limit`. */
const usualLimit = 50

export const inbox = (options: { readonly db: string | undefined; readonly limit: number | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, file } = yield* connect(options.db, "read")
      const limit = options.limit ?? usualLimit
      const waits = yield* storage.waits({ kind: ["approval", "human"], isAnswered: false, limit })
      const now = yield* Clock.currentTimeMillis
      const shown = waits.map((wait) => ({ ...wait, commands: commandsFor(wait, options.db) }))
      const blocks = shown.map((wait) => {
        const left = wait.deadline === null ? "" : `, ${span(Math.max(0, wait.deadline - now))} left`
        const pass = wait.iteration === 0 ? "" : ` (iteration ${wait.iteration})`
        const title = `${oneLine(`${wait.runId} ${wait.workflow} ${wait.nodeId}`)}${pass}: ${wait.kind === "approval" ? "approval" : "an answer"}`
        return [
          `${title} (since ${span(now - wait.since)}${left})`,
          ...askLines(wait, options.db).map((line) => `    ${line}`),
        ].join("\n")
      })
      const more =
        waits.length < limit ? "" : `\n… there may be more: ${commandLine(options.db, "inbox", [], [["limit", String(limit * 2)]])}`
      const text = waits.length === 0 ? "No open requests." : `${plural(waits.length, "open request")}\n${blocks.join("\n")}${more}`
      return { value: { db: file, waits: shown }, text }
    }),
  )
