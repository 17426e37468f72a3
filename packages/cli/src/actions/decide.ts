/**
 * What people say to runs.
 */
import type { JsonSchema } from "@smithers/core/Codec"
import * as Commands from "@smithers/core/Commands"
import { NotWaiting } from "@smithers/core/Errors"
import { Storage, type WaitSummary } from "@smithers/core/Storage"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { commandLine } from "../CommandLine.ts"
import { connect, connectRun, type FoundRun } from "../Database.ts"
import { InvalidUsage, SeveralWaits } from "../Errors.ts"
import * as Input from "../Input.ts"
import { Screen } from "../Screen.ts"
import { excerpt, oneLine, plural, pretty, shorten, span } from "../Text.ts"
import { commandsFor, waitLine } from "../Why.ts"
import { told } from "./told.ts"

interface Decision {
  readonly db: string | undefined
  readonly run: string
  readonly node: string | undefined
  readonly iteration: number | undefined
  readonly note: string | undefined
  readonly by: string | undefined
}

/** Who sits at the terminal. Without `USER` the name is not in reach of this process, and "unknown" is nobody's. */
const user = (): string | undefined => {
  const { USER: named } = process.env
  if (named !== undefined && named !== "") return named
  try {
    const asked = Bun.spawnSync(["id", "-un"], { stderr: "ignore" })
    const name = asked.stdout.toString().trim()
    if (asked.exitCode === 0 && name !== "") return name
  } catch {
    // There is no such program.
  }
  const id = process.getuid?.()
  return id === undefined ? process.env.USERNAME : `uid ${id}`
}

/** The node that is meant: the one that was named, or the only one that asks. */
const nodeOf = (found: FoundRun, given: Decision) =>
  Effect.gen(function* () {
    if (given.node !== undefined) return given.node
    const waits = yield* found.storage.waits({ runId: found.runId, kind: ["approval"] })
    // Who says it again, or otherwise, means what was decided before, where nothing else is left to decide.
    const undecided = waits.filter(({ isAnswered }) => !isAnswered)
    const nodes = [...new Set((undecided.length > 0 ? undecided : waits).map(({ nodeId }) => nodeId))]
    if (nodes.length > 1) return yield* new SeveralWaits({ runId: found.runId, nodes })
    if (nodes[0] !== undefined) return nodes[0]
    yield* found.storage.inspect(found.runId)
    const open = yield* found.storage.waits({ runId: found.runId })
    return yield* new NotWaiting({
      runId: found.runId,
      nodeId: "an approval",
      open: open.map((wait) => `${wait.kind} "${wait.nodeId}"`),
    })
  })

const decide = (command: "approve" | "deny", say: typeof Commands.approve) => (given: Decision) =>
  Effect.scoped(
    Effect.gen(function* () {
      const found = yield* connectRun(given.db, given.run, "write")
      const nodeId = yield* nodeOf(found, given)
      const by = given.by ?? user()
      const options = {
        ...(given.iteration === undefined ? {} : { iteration: given.iteration }),
        ...(given.note === undefined ? {} : { note: given.note }),
        ...(by === undefined ? {} : { by }),
      }
      yield* Effect.provideService(say(found.runId, nodeId, options), Storage, found.storage)
      const did = command === "approve" ? "Approved" : "Denied"
      return yield* told(found, {
        command,
        nodeId,
        iteration: given.iteration,
        db: given.db,
        did: `${did} "${nodeId}" of run ${found.runId}`,
      })
    }),
  )

/** Approves. */
export const approve = decide("approve", Commands.approve)

/** Denies. */
export const deny = decide("deny", Commands.deny)

/** Answers a person's task. */
export const answer = (given: {
  readonly db: string | undefined
  readonly run: string
  readonly node: string
  readonly value: string | undefined
  readonly iteration: number | undefined
  readonly by: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const screen = yield* Screen
      const found = yield* connectRun(given.db, given.run, "write")
      const { runId, storage } = found
      const open = yield* storage.waits({ runId, kind: ["human"] })
      const nodeId = Commands.nodeNamed(given.node, open)
      const wait = open.find((one) => one.nodeId === nodeId && (given.iteration === undefined || one.iteration === given.iteration))
      let value: unknown
      if (given.value !== undefined) value = yield* Input.read("--value", given.value)
      else {
        if (!screen.canAsk)
          return yield* new InvalidUsage({
            problem: "Give the answer with --value; there is no terminal to ask in",
            command: "answer",
          })
        if (wait !== undefined) {
          yield* screen.say(promptOf(wait))
          const { ask } = yield* Effect.promise(() => import("../Ask.ts"))
          value = yield* ask(schemaOf(wait) ?? {})
        }
      }
      const by = given.by ?? user()
      const options = {
        ...(given.iteration === undefined ? {} : { iteration: given.iteration }),
        ...(by === undefined ? {} : { by }),
      }
      yield* Effect.provideService(Commands.answer(runId, nodeId, value, options), Storage, storage)
      return yield* told(found, {
        command: "answer",
        nodeId,
        iteration: given.iteration ?? wait?.iteration,
        db: given.db,
        did: `Answered "${nodeId}" of run ${runId}`,
      })
    }),
  )

/** The schema of the answer, as the run has stored it with the question. */
const schemaOf = (wait: WaitSummary | undefined): JsonSchema | undefined => {
  const request = wait?.request
  if (typeof request !== "object" || request === null || !("schema" in request)) return undefined
  const { schema } = request
  return typeof schema === "object" && schema !== null ? (schema as JsonSchema) : undefined
}

const promptOf = ({ request }: WaitSummary): string => {
  const prompt = typeof request === "object" && request !== null && "prompt" in request ? request.prompt : request
  return excerpt(pretty(prompt), "smithers inbox --json")
}

/** Sends a signal. */
export const signal = (given: {
  readonly db: string | undefined
  readonly run: string
  readonly name: string
  readonly data: string | undefined
  readonly correlation: string | undefined
  readonly id: string | undefined
}) =>
  Effect.scoped(
    Effect.gen(function* () {
      const payload = given.data === undefined ? undefined : yield* Input.read("--data", given.data)
      const found = yield* connectRun(given.db, given.run, "write")
      const options = {
        ...(payload === undefined ? {} : { payload }),
        ...(given.correlation === undefined ? {} : { correlation: given.correlation }),
        ...(given.id === undefined ? {} : { id: given.id }),
      }
      yield* Effect.provideService(Commands.signal(found.runId, given.name, options), Storage, found.storage)
      const did = `Sent signal "${oneLine(given.name)}" to run ${found.runId}`
      return yield* told(found, { command: "signal", nodeId: undefined, iteration: undefined, db: given.db, did })
    }),
  )

/** Waits on a page of the inbox unless told. */
const usualLimit = 50

/** Lists what waits for people. */
export const inbox = (given: { readonly db: string | undefined; readonly limit: number | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { storage, file } = yield* connect(given.db, "read")
      const limit = given.limit ?? usualLimit
      const waits = yield* storage.waits({ kind: ["approval", "human"], isAnswered: false, limit })
      const now = yield* Clock.currentTimeMillis
      const shown = waits.map((wait) => ({ ...wait, commands: commandsFor(wait, given.db) }))
      const blocks = shown.map((wait) => {
        const left = wait.deadline === null ? "" : `, ${span(Math.max(0, wait.deadline - now))} left`
        const title = `${oneLine(`${wait.runId} ${wait.workflow} ${wait.nodeId}`)}: ${shorten(waitLine(wait, now), 200)}`
        return [`${title} (since ${span(now - wait.since)}${left})`, ...wait.commands.map((command) => `    ${command}`)].join("\n")
      })
      const more =
        waits.length < limit ? "" : `\n… there may be more: ${commandLine(given.db, "inbox", [], [["limit", String(limit * 2)]])}`
      const text =
        waits.length === 0
          ? "Nothing waits for anybody."
          : `${plural(waits.length, "thing")} to decide\n${blocks.join("\n")}${more}`
      return { value: { db: file, waits: shown }, text }
    }),
  )
