/**
 * Works on the workflow files and runs of a project by commands in processes of their own. This process loads no code of the
 * project, and each command sees the files as they are now.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, isAbsolute, join, relative, resolve } from "node:path"
import { RunIdTaken } from "@smithers/core/Errors"
import { Schedule } from "@smithers/core/Schedules"
import type { StorageShape } from "@smithers/core/Storage"
import { CannotWork, CommandFailed } from "@smithers/server/operations/Errors"
import type { ProcessesShape } from "@smithers/server/operations/Processes"
import { Checked, Described, Forked, Reverted, type WorkflowFilesShape } from "@smithers/server/operations/WorkflowFiles"
import { realPath } from "@smithers/sqlite/Location"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { sourceOf } from "./Database.ts"
import { NoSource } from "./Errors.ts"
import * as Project from "./Project.ts"
import { owners } from "./Stores.ts"
import { parseTarget } from "./Target.ts"

export interface Place {
  /** Command line that starts this program. */
  readonly self: ReadonlyArray<string>
  /** The database. */
  readonly file: string
  /** Folder that holds the workflows. */
  readonly root: string
  /** Options of the processes that work on runs. Default: none. */
  readonly options?: ReadonlyArray<string>
}

const failed = (command: string, tag: string, problem: string, fields: CommandFailed["fields"] = undefined) =>
  new CommandFailed({ command, tag, problem, ...(fields === undefined ? {} : { fields }) })

const ErrorReply = Schema.Struct({
  error: Schema.Struct(
    { tag: Schema.String, message: Schema.String },
    Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  ),
})
const isError = Schema.is(ErrorReply)

/** Most commands at work at a time. Each loads a workflow. */
const mostCommands = 4

const places = Effect.unsafeMakeSemaphore(mostCommands)

const errorOf = (command: string, { error: { tag, message, ...fields } }: typeof ErrorReply.Type) =>
  failed(command, tag, message, fields)

/** Time for a command, in milliseconds. A workflow file may never finish loading. */
const longestMs = 60_000

/** Runs a command with `--json`, and completes with the document that it prints. */
const run = (place: Place, command: string, args: ReadonlyArray<string>, input: string | undefined = undefined) =>
  perform(place, command, args, input).pipe(
    Effect.timeoutFail({
      duration: longestMs,
      onTimeout: () => failed(command, "TookTooLong", `"smithers ${command}" gave no result within ${longestMs / 1000} seconds.`),
    }),
    places.withPermits(1),
  )

const perform = ({ self, file, root }: Place, command: string, args: ReadonlyArray<string>, input: string | undefined) =>
  Effect.async<unknown, CommandFailed>((done) => {
    const [program = "", ...before] = self
    const line = [...before, ...command.split(" "), "--json", `--db=${file}`, ...args]
    const child = spawn(program, line, { cwd: root, stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, CI: "1" } })
    const said = { stdout: "", stderr: "" }
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        said[stream] += text
      })
    child.on("error", ({ message }) => done(failed(command, "CannotWork", message)))
    child.on("close", () => {
      try {
        const value: unknown = JSON.parse(said.stdout.trim().split("\n").at(-1) ?? "")
        done(isError(value) ? errorOf(command, value) : Effect.succeed(value))
      } catch {
        done(failed(command, "NoReply", `it printed no result. ${said.stderr.trim().slice(-1000)}`))
      }
    })
    child.stdin.on("error", () => {})
    child.stdin.end(input ?? "")
    return Effect.sync(() => void child.kill("SIGTERM"))
  })

/** Runs a command without arguments. */
export const command = (place: Place, name: string): Effect.Effect<unknown, CommandFailed> => run(place, name, [])

/** Returns `true` for a path in a folder. */
const isWithin = (root: string, path: string): boolean => {
  const way = relative(realPath(root), realPath(path))
  return way !== "" && !way.startsWith("..") && !isAbsolute(way)
}

/** Resolves a workflow by name, or by a file within the root. */
const targetOf = (root: string, workflow: string): Effect.Effect<string, CommandFailed> =>
  Effect.suspend(() => {
    const known = Project.workflows(root)
    const named = known.find(({ name }) => name === workflow)
    const { file, exported } = named === undefined ? parseTarget(workflow) : { file: named.path }
    const path = resolve(root, file)
    // A name may be that of a link.
    if (!isWithin(root, path)) return failed("workflow", "OutsideRoot", `${workflow} is not within ${root}. Name a file within it.`)
    if (!existsSync(path)) {
      const names = known.map(({ name }) => name).join(", ")
      return failed(
        "workflow",
        "NoSuchWorkflow",
        `There is no workflow "${workflow}" in ${root}. Its workflows: ${names || "none"}.`,
      )
    }
    return Effect.succeed(exported === undefined ? path : `${path}#${exported}`)
  })

const namedFile = (root: string, name: string) => Project.workflows(root).find((workflow) => workflow.name === name)

const decoded = <A, I>(command: string, schema: Schema.Schema<A, I>, value: unknown): Effect.Effect<A, CommandFailed> =>
  Effect.mapError(Schema.decodeUnknown(schema)(value), ({ message }) => failed(command, "NoReply", message))

/** JSON of an input, on standard input so that no length bounds it. */
const inputArgs = (input: unknown): { readonly args: ReadonlyArray<string>; readonly text: string | undefined } =>
  input === undefined ? { args: [], text: undefined } : { args: ["--input=-"], text: JSON.stringify(input) }

/** JSON in a file that nobody else can read, as the value of an option. */
const asFile = (value: unknown) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const folder = mkdtempSync(join(tmpdir(), "smithers-set-"))
      const path = join(folder, "value.json")
      writeFileSync(path, JSON.stringify(value), { mode: 0o600 })
      return { folder, path }
    }),
    ({ folder }) => Effect.sync(() => rmSync(folder, { recursive: true, force: true })),
  )

/** Options of a command: flags that are on, and values. */
const optionsOf = (values: { readonly [name: string]: string | number | boolean | undefined }): ReadonlyArray<string> =>
  Object.entries(values).flatMap(([name, value]) =>
    value === undefined || value === false ? [] : [value === true ? `--${name}` : `--${name}=${value}`],
  )

/** Makes the workflow files of a project. */
export const filesOf = (place: Place, storage: StorageShape): WorkflowFilesShape => {
  const { root } = place
  return {
    list: Effect.sync(() => ({ root, workflows: Project.workflows(root) })),
    read: (name) =>
      Effect.suspend(() => {
        const found = namedFile(root, name)
        if (found === undefined || !isWithin(root, found.path))
          return failed("workflow", "NoSuchWorkflow", `There is no workflow "${name}" in ${root}.`)
        return Effect.try({
          try: () => ({ ...found, source: readFileSync(found.path, "utf8") }),
          catch: (thrown) => failed("workflow", "CannotRead", String(thrown)),
        })
      }),
    describe: (workflow) =>
      Effect.gen(function* () {
        const target = yield* targetOf(root, workflow)
        return yield* decoded("workflow show", Described, yield* run(place, "workflow show", ["--", target]))
      }),
    write: ({ name, source, overwrite }) =>
      Effect.suspend(() => {
        const found = namedFile(root, name)
        const path = found?.path ?? join(Project.homeOf(root), `${name}.tsx`)
        if (!isWithin(root, path)) return failed("workflow", "OutsideRoot", `${path} is not within ${root}.`)
        if (existsSync(path) && !overwrite)
          return failed("workflow", "WorkflowExists", `${path} exists. Read it, and write it with overwrite: true.`)
        return Effect.try({
          try: () => {
            mkdirSync(dirname(path), { recursive: true })
            writeFileSync(path, source)
            return { name, path }
          },
          catch: (thrown) => failed("workflow", "CannotWrite", String(thrown)),
        })
      }),
    check: ({ workflow, input, against }) =>
      Effect.gen(function* () {
        const target = yield* targetOf(root, workflow)
        const { args, text } = inputArgs(input)
        const other = against === undefined ? [] : [`--against=${against}`]
        return yield* decoded("check", Checked, yield* run(place, "check", [...args, ...other, "--", target], text))
      }),
    start: ({ workflow, input, runId, tags = [], startAt }) =>
      Effect.gen(function* () {
        const target = yield* targetOf(root, workflow)
        // The command would resume it.
        if (runId !== undefined && (yield* Effect.orDie(storage.origin(runId))) !== undefined)
          return yield* failed("up", "RunIdTaken", new RunIdTaken({ runId }).message, { runId })
        const { args, text } = inputArgs(input)
        const options = [
          ...["--detach", `--root=${root}`, ...(place.options ?? []), ...args, ...tags.map((tag) => `--tag=${tag}`)],
          ...(runId === undefined ? [] : [`--run-id=${runId}`]),
          ...(startAt === undefined ? [] : [`--start-at=${new Date(startAt).toISOString()}`]),
        ]
        const reply = yield* Effect.catchIf(
          run(place, "up", [...options, "--", target], text),
          ({ tag }) => tag === "DetachedEnded",
          (error) =>
            Effect.gen(function* () {
              const { runId: made } = error.fields ?? {}
              // Its process has died, and the run is there: it was started.
              const isThere = typeof made === "string" && (yield* Effect.orDie(storage.origin(made))) !== undefined
              return isThere ? { runId: made } : yield* error
            }),
        )
        return yield* decoded("up", Schema.Struct({ runId: Schema.String }), reply)
      }),
    schedule: ({ workflow, input, tags = [], catchUp, onExisting, ...options }) =>
      Effect.gen(function* () {
        const target = yield* targetOf(root, workflow)
        const { args, text } = inputArgs(input)
        const values = optionsOf({ ...options, "catch-up": catchUp, "on-existing": onExisting })
        const line = [...args, ...values, ...tags.map((tag) => `--tag=${tag}`), "--", target]
        const reply = yield* run(place, "schedule add", line, text)
        return yield* decoded("schedule add", Schema.Struct({ schedule: Schedule }), reply)
      }),
    fork: ({ runId, by, input, set, newRunId, ...rest }) =>
      Effect.scoped(
        Effect.gen(function* () {
          const given = inputArgs(input)
          const kept = set === undefined ? undefined : yield* asFile(set)
          const options = optionsOf({
            ...{ by, frame: rest.frame, before: rest.before, iteration: rest.iteration, children: rest.children },
            ...{ reask: rest.reask, files: rest.files, force: rest.force, "run-id": newRunId },
            ...{ "from-failure": rest.fromFailure, "replay-signals": rest.replaySignals, "own-effects": rest.ownEffects },
            ...{ "keep-deadlines": rest.keepDeadlines, "dry-run": rest.dryRun, set: kept && `@${kept.path}` },
          })
          return yield* decoded("fork", Forked, yield* run(place, "fork", [...options, ...given.args, "--", runId], given.text))
        }),
      ),
    revert: ({ runId, by, node, attempt, iteration, files, undo, force, dryRun }) =>
      Effect.gen(function* () {
        const source = yield* Effect.catchAll(sourceOf(storage, runId), ({ _tag, message }) => failed("revert", _tag, message))
        if (source === undefined) {
          const { workflow } = (yield* Effect.orDie(storage.run(runId))).run
          return yield* failed("revert", "NoSource", new NoSource({ runId, workflow }).message)
        }
        const options = optionsOf({
          ...{ "run-id": runId, "node-id": node, attempt, iteration, by, undo, force, "dry-run": dryRun },
          ...(files === undefined ? {} : files ? { files: true } : { "no-files": true }),
        })
        const target = resolve(dirname(place.file), source)
        return yield* decoded("revert", Reverted, yield* run(place, "revert", [...options, "--yes", "--", target]))
      }),
  }
}

/** Makes the processes that work on the runs of a database. */
export const processesOf = (place: Place): ProcessesShape => ({
  // A live process without a valid lease cannot write.
  isWorking: (run, now) => owners.isAlive(run, now) || owners.isSeen(run),
  begin: (runId) =>
    run(place, "up", [`--run-id=${runId}`, "--resume=true", "--detach", ...(place.options ?? [])]).pipe(
      Effect.asVoid,
      Effect.mapError(({ problem }) => new CannotWork({ runId, problem })),
    ),
})
