/**
 * Runs a workflow from its file, and shows its progress.
 */
import { statSync } from "node:fs"
import { dirname, join } from "node:path"
import * as AgentProgram from "@smithers/agents/AgentProgram"
import * as Prices from "@smithers/agents/Prices"
import type * as Budget from "@smithers/core/Budget"
import { Engine } from "@smithers/core/Engine"
import { InvalidRunId, type InvalidSetting, WorkflowMismatch } from "@smithers/core/Errors"
import { generateRunId, isDerivedRunId, isId } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type { RunDetails } from "@smithers/core/RunReader"
import { ofState } from "@smithers/core/RunResult"
import * as Settings from "@smithers/core/Settings"
import { onStorage, type Runtime } from "@smithers/core/Smithers"
import { ports, type StorageShape } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import { attach, type RunHandle } from "@smithers/core/Workflow"
import * as Runner from "@smithers/sandbox/Runner"
import { anyFile, cancelLine, resumeLine } from "@smithers/server/views/CommandLine"
import { realPath } from "@smithers/sqlite/Location"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Scope from "effect/Scope"
import { readAmounts } from "../Amounts.ts"
import { type Database, filename, locate, named, nameFor, nearest, open, sourceOf, wholeRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage, InvalidWorkflowFile, NoSource, NoSuchRun, type Tagged } from "../Errors.ts"
import { Host } from "../Host.ts"
import { inputOf, sourceFor, targetOf } from "../NewRun.ts"
import { rootOf } from "../Project.ts"
import { Screen } from "../Screen.ts"
import { owners } from "../Stores.ts"
import { isFileName, looksLikeFile } from "../Target.ts"
import { definitionFor, load, nameOrNone, type WorkflowModule } from "../WorkflowFile.ts"
import { workspaces, worktrees } from "../Workspaces.ts"
import { detach } from "./detach.ts"
import { detachedOf, isUnattended, withDetached } from "./detached.ts"
import { hot } from "./hot.ts"
import { show } from "./show.ts"
import { cancelled, finished, summarize } from "./summarize.ts"

/** Options and arguments of `up`. */
export interface UpOptions {
  readonly db: string | undefined
  readonly workflow: string | undefined
  readonly input: string | undefined
  readonly runId: string | undefined
  readonly tag: ReadonlyArray<string>
  readonly maxConcurrency: number | undefined
  readonly budget: ReadonlyArray<string>
  readonly deadline: string | undefined
  readonly startAt: string | undefined
  readonly delay: string | undefined
  readonly noCache: boolean
  readonly noSnapshots: boolean
  readonly hot: boolean
  readonly otel: boolean
  readonly serve: boolean
  readonly port: number | undefined
  readonly wait: boolean
  readonly uncancel: boolean
  readonly detach: boolean
  readonly root: string | undefined
  readonly onIncompatible: "fail" | "rerun" | undefined
  readonly resume: string | undefined
  readonly export: string | undefined
}

/** Target of the command: a new run of a file, or an existing run, with its own file or this one. */
interface Meant {
  readonly target: string | undefined
  readonly runId: string | undefined
  readonly isResume: boolean
  /** `true` if the run is given by its full id rather than a prefix. */
  readonly isWhole: boolean
}

/** Time that a running workflow waits for a locked database. */
const patience = "30 seconds"

const invalid = (problem: string) => Effect.fail(new InvalidUsage({ problem, command: "up" }))

/**
 * Resolves which words are files and which are runs. `--resume` may be followed by a run, a boolean, or the file. `--run-id` is
 * always followed by a run, and so is a lone `--resume` with a single word.
 */
export const meant = ({
  workflow,
  runId,
  resume,
  uncancel = false,
}: Pick<UpOptions, "workflow" | "runId" | "resume"> & { readonly uncancel?: boolean }): Either.Either<Meant, string> => {
  const isResume = resume !== undefined && resume !== "false"
  const isWhole = runId !== undefined
  if (!isResume) {
    if (uncancel) return Either.left("--uncancel needs the run to resume: --resume <run>")
    if (workflow === undefined) return Either.left("Give a workflow file, or a run with --resume")
    return Either.right({ target: workflow, runId, isResume, isWhole })
  }
  const named = resume === "true" ? undefined : resume
  // The value of the option is a run, even if a folder or file has its name.
  const words = [
    ...(workflow === undefined ? [] : [{ word: workflow, isFile: looksLikeFile(workflow) }]),
    ...(named === undefined ? [] : [{ word: named, isFile: isFileName(named) }]),
  ].filter(({ word }) => word !== runId)
  if (runId === undefined && named !== undefined && words.length === 1)
    return Either.right({ target: undefined, runId: named, isResume, isWhole })
  const files = words.flatMap(({ word, isFile }) => (isFile ? [word] : []))
  const runs = [...words.flatMap(({ word, isFile }) => (isFile ? [] : [word])), ...(runId === undefined ? [] : [runId])]
  // If both could be either, the file comes first.
  if (files.length === 2 && runs.length === 0) return Either.right({ target: files[0], runId: files[1], isResume, isWhole })
  if (files.length > 1) return Either.left(`Give one file, not ${files.join(" and ")}`)
  if (new Set(runs).size > 1) return Either.left(`Give one run, not ${runs.join(" and ")}`)
  if (runs[0] === undefined) return Either.left("Give the run to resume: --resume <run>, or --run-id <run> --resume")
  return Either.right({ target: files[0], runId: runs[0], isResume, isWhole })
}

export const up = (asked: UpOptions) => {
  const done = perform(asked)
  // The process that a detached run gets sends its own.
  if (!asked.otel || asked.detach) return done
  return Effect.flatMap(
    Effect.promise(() => import("../Telemetry.ts")),
    ({ within }) => within("up", done),
  )
}

const perform = (asked: UpOptions) =>
  Effect.gen(function* () {
    let options = asked
    const intent = yield* Either.match(meant(options), { onLeft: invalid, onRight: Effect.succeed })
    if (options.runId !== undefined && !intent.isResume && (!isId(options.runId) || isDerivedRunId(options.runId)))
      return yield* new InvalidRunId({ runId: options.runId })
    if (options.maxConcurrency !== undefined && options.maxConcurrency < 1)
      return yield* invalid("--max-concurrency must be at least 1")
    const budget = readAmounts("--budget", options.budget)
    if (Either.isLeft(budget)) return yield* invalid(budget.left)
    const asOf = yield* Clock.currentTimeMillis
    const startAt = startOf(options, asOf)
    if (Either.isLeft(startAt)) return yield* invalid(startAt.left)
    if (startAt.right !== undefined && intent.isResume)
      return yield* invalid("A resumed run has started. Omit --start-at and --delay")
    const deadline = deadlineOf(options.deadline, startAt.right === undefined ? asOf : Date.parse(startAt.right))
    if (Either.isLeft(deadline)) return yield* invalid(deadline.left)
    // From here on dates, so that what starts later does not move them.
    options = { ...options, deadline: deadline.right, startAt: startAt.right, delay: undefined }
    const here = process.cwd()
    const root = realPath(options.root ?? ".")
    if (!statSync(root, { throwIfNoEntry: false })?.isDirectory()) return yield* invalid(`--root ${root} is not a folder`)
    const file = (yield* named(options.db)) ?? (yield* nearest(root)) ?? realPath(join(root, filename))
    if (intent.isResume) {
      const found = yield* locate(options.db ?? (options.root === undefined ? undefined : file))
      const named = { ...options, db: nameFor(found, options.db, here) }
      return yield* Effect.scoped(
        Effect.flatMap(open(found, "write", patience), (storage) => resumed(named, intent, here, root, { file: found, storage })),
      )
    }
    // From here on, only used in commands that people copy.
    options = { ...options, db: nameFor(file, options.db, here) }
    const loadedAt = yield* Clock.currentTimeMillis
    const loaded = yield* load(intent.target as string, { folder: here, exported: options.export })
    const input = yield* inputOf(options.input, loaded.workflow)
    const runId = options.runId ?? (yield* generateRunId)
    if (options.detach)
      return yield* detach({ settings: options, runId, file, root, target: targetOf(loaded), input, isResume: false })
    process.chdir(root)
    return yield* Effect.scoped(
      Effect.flatMap(open(file, "create", patience), (storage) =>
        work({ settings: options, file, storage, runId, loaded, loadedAt, folder: here, input, existing: undefined }),
      ),
    )
  })

/** Reads `--start-at` or `--delay`. Returns the date in ISO 8601. */
const startOf = ({ startAt, delay }: UpOptions, now: number): Either.Either<string | undefined, string> => {
  if (startAt !== undefined && delay !== undefined) return Either.left("Give --start-at or --delay, not both")
  const span = delay === undefined ? undefined : Millis.parseDuration(delay, "s")
  if (span !== undefined && !(Either.isRight(span) && span.right > 0))
    return Either.left(`--delay must be a time such as 2h, not "${delay}"`)
  if (span !== undefined && Either.isRight(span))
    return Either.right(new Date(Millis.after(Math.floor(now), span.right)).toISOString())
  const at = startAt === undefined ? undefined : Date.parse(startAt)
  if (at !== undefined && !Number.isFinite(at))
    return Either.left(`--start-at must be a date such as 2030-01-31T18:00Z, not "${startAt}"`)
  return Either.right(at === undefined ? undefined : new Date(at).toISOString())
}

/** Reads `--deadline`: a duration from now, or a date. Returns the date in ISO 8601. */
const deadlineOf = (text: string | undefined, now: number): Either.Either<string | undefined, string> => {
  if (text === undefined) return Either.right(undefined)
  const span = Millis.parseDuration(text, "s")
  const at = Either.isRight(span) ? Millis.after(Math.floor(now), span.right) : Date.parse(text)
  const isTime = Number.isFinite(at) && !(Either.isRight(span) && span.right <= 0)
  return isTime
    ? Either.right(new Date(at).toISOString())
    : Either.left(`--deadline must be a time such as 2h, or a date such as 2030-01-31T18:00Z, not "${text}"`)
}

const resumed = (
  options: UpOptions,
  intent: Meant,
  here: string,
  root: string,
  database: Database,
): Effect.Effect<Reply, Tagged, Host | Screen> =>
  Effect.gen(function* () {
    const { file, storage } = database
    const asked = intent.runId as string
    const runId = yield* storage.newest(intent.isWhole ? asked : yield* wholeRun(database, asked))
    const details = yield* Effect.catchTag(storage.inspect(runId), "RunNotFound", () => new NoSuchRun({ runId, db: file }))
    const { parent, workflow, status } = details.run
    const above = parent?.isAttached === true ? (yield* storage.run(parent.runId)).run : undefined
    const isOver = status === "finished" || status === "cancelled"
    const ended = isOver ? ofState(yield* storage.load(runId)) : undefined
    const source = yield* sourceOf(storage, runId)
    if (options.input !== undefined) return yield* invalid("A resumed run keeps its stored input. Omit --input")
    const isCancelled = ended?.status === "cancelled"
    // A cancelled run stays cancelled, and its result is shown.
    if (isCancelled && !options.uncancel) return cancelled(options.db, ended)
    if (options.uncancel && !isCancelled) return yield* notCancelled(options.db, details)
    // The output is stored and needs no code. A named file is still checked.
    const left = ended?.status === "finished" ? yield* detachedOf(storage, runId) : []
    const answer =
      ended?.status === "finished"
        ? withDetached(finished(options.db, details, "has finished", ended), left, options.db)
        : undefined
    if (answer !== undefined && intent.target !== undefined)
      yield* sameWorkflow(yield* load(intent.target, { folder: here, exported: options.export }), details)
    const due = yield* storage.scores({ runId, status: "due", limit: 1 })
    if (answer !== undefined && !left.some(isUnattended) && due.length === 0) return answer
    const target = intent.target ?? source
    if (target === undefined) return answer ?? (yield* new NoSource({ runId, workflow }))
    // The stored source is relative to the folder of the database.
    const folder = intent.target === undefined ? dirname(file) : here
    const loadedAt = yield* Clock.currentTimeMillis
    const read = yield* Effect.either(load(target, { folder, exported: options.export }))
    if (Either.isLeft(read)) {
      const error = read.left
      const isMoved = error._tag === "InvalidWorkflowFile" && error.reason === "missing" && intent.target === undefined
      return answer ?? (yield* Effect.fail(isMoved ? moved(error, runId) : error))
    }
    const loaded = read.right
    if (details.run.parent !== null && definitionFor(loaded, workflow) === undefined) {
      // Only a render of its parent has its code.
      if (above !== undefined && above.finishedAt === null) {
        return yield* resumed(options, { ...intent, runId: above.runId, isWhole: true }, here, root, database)
      }
      // A detached child is resumed with its parent, unless the parent failed or was cancelled.
      const starter = parent?.isAttached === false ? (yield* storage.run(parent.runId)).run : undefined
      if (starter !== undefined && starter.status !== "failed" && starter.status !== "cancelled") {
        return yield* resumed(options, { ...intent, runId: starter.runId, isWhole: true }, here, root, database)
      }
      const problem = `Run "${runId}" belongs to workflow "${workflow}", which ${loaded.path} does not export. Export it there, or name the file that does: ${resumeLine(undefined, runId, anyFile)}`
      return yield* new InvalidWorkflowFile({ path: loaded.path, reason: "no-export", problem })
    }
    if (options.detach)
      return yield* detach({ settings: options, runId, file, root, target: targetOf(loaded), input: undefined, isResume: true })
    process.chdir(root)
    const screen = yield* Screen
    if (details.cancel !== null && !owners.isAlive(details.run, yield* Clock.currentTimeMillis))
      yield* screen.log(`Run ${runId} is being cancelled. This command carries out the cancellation.`)
    return yield* work({
      settings: options,
      file,
      storage,
      runId,
      loaded,
      loadedAt,
      folder: here,
      input: undefined,
      existing: details,
    })
  })

/** Returns the error for `--uncancel` of a run that is not cancelled, or not yet. */
const notCancelled = (db: string | undefined, { run: { runId, status }, cancel }: RunDetails) => {
  const problem =
    cancel === null
      ? `Run "${runId}" is ${status}, not cancelled. Omit --uncancel`
      : `Run "${runId}" is being cancelled and has not ended. Carry out the cancellation first: ${cancelLine(db, runId)}`
  return invalid(problem)
}

const sameWorkflow = (loaded: WorkflowModule, { run: { runId, workflow: stored } }: RunDetails) => {
  const workflow = nameOrNone(loaded.workflow)
  const isKnown = workflow === undefined || definitionFor(loaded, stored) !== undefined
  return isKnown ? Effect.void : new WorkflowMismatch({ runId, workflow, stored })
}

/** Returns the error for a workflow file that has moved. */
const moved = ({ path, reason }: InvalidWorkflowFile, runId: string) => {
  const problem = `The workflow file of run "${runId}" no longer exists: ${path}. Name its new path: ${resumeLine(undefined, runId, anyFile)}`
  return new InvalidWorkflowFile({ path, reason, problem })
}

interface Work {
  readonly settings: UpOptions
  readonly file: string
  readonly storage: StorageShape
  readonly runId: string
  readonly loaded: WorkflowModule
  /** When it began to be loaded (epoch ms). */
  readonly loadedAt: number
  /** The folder in which this process was started. */
  readonly folder: string
  readonly input: unknown
  /** The stored run, if it is resumed. */
  readonly existing: RunDetails | undefined
}

/** Starts or resumes a run. */
const start = ({ settings, file, runId, loaded, input, existing }: Work): Effect.Effect<RunHandle<unknown>, Tagged, Runtime> => {
  const { workflow } = loaded
  const onIncompatible = settings.onIncompatible ?? "fail"
  const times = {
    ...(settings.deadline === undefined ? {} : { deadline: new Date(settings.deadline) }),
    ...(settings.startAt === undefined ? {} : { startAt: new Date(settings.startAt) }),
  }
  if (existing === undefined)
    return workflow.start(input, {
      ...{ runId, tags: settings.tag, onIncompatible, source: sourceFor(file, loaded) },
      ...times,
      ...defined({ budget: Either.getOrUndefined(readAmounts("--budget", settings.budget)) }),
    })
  // Its owner may just have ended it as cancelled.
  const onCancelled = settings.uncancel ? "resume" : "answer"
  const options = { onIncompatible, onFailed: "resume", onCancelled, ...times } as const
  return attach(definitionFor(loaded, existing.run.workflow) ?? workflow.definition, runId, options)
}

/** The budget of a day, as the engine takes it. */
const checkedBudget = (value: unknown): Either.Either<Budget.Options, InvalidSetting> =>
  Either.map(Settings.budget("SMITHERS_DAILY_BUDGET", value), () => value as Budget.Options)

/** The layer that calls agents. Their tools stay below the folder that the run is worked on in. */
const agents = Layer.unwrapEffect(
  Effect.map(
    Effect.all({
      isolation: Effect.suspend(() =>
        Settings.word("SMITHERS_ISOLATION", process.env.SMITHERS_ISOLATION || undefined, Runner.isolations),
      ),
      prices: Effect.suspend(() =>
        Either.flatMap(Settings.jsonOf("SMITHERS_PRICES", "prices by model"), (prices) =>
          Prices.setting("SMITHERS_PRICES", prices),
        ),
      ),
    }),
    ({ isolation, prices }) => AgentProgram.layerWith({ commands: Runner.make(isolation), prices }),
  ),
)

/** Serves the database beside the run, until the scope closes. */
const serving = ({ settings: { port = 0 }, file, folder }: Work) =>
  Effect.gen(function* () {
    const { self } = yield* Host
    const { listening } = yield* Effect.promise(() => import("./serve.ts"))
    const options = { host: undefined, tokenFile: undefined, allowHost: [], port, command: "up" }
    const { url, tokenFile } = yield* listening({ self, file, root: realPath(rootOf(folder)) }, options)
    yield* (yield* Screen).log(`Listening on ${url}. The token is in ${tokenFile}.`)
  })

const work = (task: Work) =>
  Effect.gen(function* () {
    const { settings: options, storage, runId, existing } = task
    const screen = yield* Screen
    const began = yield* Clock.currentTimeMillis
    const resume = resumeLine(options.db, runId)
    screen.setCurrentRun({ runId, next: [resume] })
    const found = Effect.map(storage.inspect(runId), (details): RunDetails | undefined => details)
    const before = existing ?? (yield* Effect.catchTag(found, "RunNotFound", () => Effect.succeed(undefined)))
    const run = (shownFor: Scope.Scope) =>
      Effect.scoped(
        Effect.gen(function* () {
          const daily = yield* Settings.jsonOf("SMITHERS_DAILY_BUDGET", "a budget")
          const runtime = yield* Layer.build(
            Layer.mergeAll(
              onStorage(Layer.succeedContext(ports(storage)), {
                cache: !options.noCache,
                ...(options.noSnapshots ? { snapshots: false } : {}),
                ...defined({ maxConcurrency: options.maxConcurrency }),
                ...(daily === undefined ? {} : { dailyBudget: yield* checkedBudget(daily) }),
              }),
              agents,
              workspaces,
              worktrees,
            ),
          )
          if (options.serve) yield* serving(task)
          return yield* Effect.provide(
            Effect.gen(function* () {
              const engine = yield* Engine
              const { loaded, loadedAt, folder } = task
              const watched = options.hot
                ? yield* hot({ loaded, loadedAt, folder, runId, engine, storage, screen, resume, db: options.db })
                : undefined
              if (watched?.code !== undefined) yield* engine.noteCode(runId, watched.code)
              const handle = yield* start(task)
              const shown = yield* Scope.extend(show({ storage, handle, before }, began), shownFor)
              if (watched !== undefined) yield* Effect.forkScoped(watched.follow)
              const waited = options.wait ? handle.result : handle.waiting
              let result = yield* waited
              // Detached child runs continue in this process.
              for (let left = yield* engine.detached(runId); left.length > 0; left = []) {
                yield* screen.log(staysFor(runId, left))
                screen.setCurrentRun({ runId, next: [resume, ...left.map((childRunId) => resumeLine(options.db, childRunId))] })
                yield* engine.detachedResting(runId)
                result = yield* waited
              }
              yield* shown
              yield* engine.scored
              return result
            }),
            runtime,
          )
        }),
      )
    // The view stays until the run is released.
    const session = Effect.scoped(Effect.flatMap(Effect.scope, run))
    const result = yield* Effect.onInterrupt(session, () =>
      screen.log(`Stopped. Finished steps are stored. Resume the run: ${resume}`),
    )
    // The run is released, so its stored state is final.
    const ended = { runId: result.runId, resume: resumeLine(options.db, result.runId) }
    const reply = yield* summarize(storage, { db: options.db, runId: ended.runId }, result, began, ended.resume)
    return withDetached(reply, yield* detachedOf(storage, ended.runId), options.db)
  })

const staysFor = (runId: string, left: ReadonlyArray<string>): string => {
  const [first, ...others] = left
  const runs = others.length === 0 ? `run ${first} continues` : `${left.length} runs continue`
  return `Run ${runId} has detached child runs: ${runs} in this process until ${others.length === 0 ? "it ends or waits" : "they end or wait"}.`
}
