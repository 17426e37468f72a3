/**
 * Works on the workflow files and runs of a project by commands in processes of their own. This process loads no code of the
 * project, and each command sees the files as they are now.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, isAbsolute, join, relative, resolve } from "node:path"
import { CannotWork, CommandFailed } from "@smithers/server/operations/Errors"
import type { ProcessesShape } from "@smithers/server/operations/Processes"
import { Checked, Forked, type WorkflowFilesShape } from "@smithers/server/operations/WorkflowFiles"
import { realPath } from "@smithers/sqlite/Location"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import * as Project from "./Project.ts"
import { owners } from "./Stores.ts"
import { parseTarget } from "./WorkflowFile.ts"

export interface Place {
  /** Command line that starts this program. */
  readonly self: ReadonlyArray<string>
  /** The database. */
  readonly file: string
  /** Folder that holds the workflows. */
  readonly root: string
}

const failed = (command: string, tag: string, problem: string) => new CommandFailed({ command, tag, problem })

const ErrorReply = Schema.Struct({ error: Schema.Struct({ tag: Schema.String, message: Schema.String }) })
const isError = Schema.is(ErrorReply)

/** Runs a command with `--json`, and completes with the document that it prints. */
const run = ({ self, file, root }: Place, command: string, args: ReadonlyArray<string>, input: string | undefined = undefined) =>
  Effect.async<unknown, CommandFailed>((done) => {
    const [program = "", ...before] = self
    const line = [...before, command, "--json", `--db=${file}`, ...args]
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
        done(isError(value) ? failed(command, value.error.tag, value.error.message) : Effect.succeed(value))
      } catch {
        done(failed(command, "NoReply", `it printed no result. ${said.stderr.trim().slice(-1000)}`))
      }
    })
    child.stdin.on("error", () => {})
    child.stdin.end(input ?? "")
    return Effect.sync(() => void child.kill("SIGTERM"))
  })

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
    if (named !== undefined) return Effect.succeed(named.path)
    const { file, exported } = parseTarget(workflow)
    const path = resolve(root, file)
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

/** Makes the workflow files of a project. */
export const filesOf = (place: Place): WorkflowFilesShape => {
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
    start: ({ workflow, input, runId, tags = [] }) =>
      Effect.gen(function* () {
        const target = yield* targetOf(root, workflow)
        const { args, text } = inputArgs(input)
        const options = [
          ...["--detach", `--root=${root}`, ...args, ...tags.map((tag) => `--tag=${tag}`)],
          ...(runId === undefined ? [] : [`--run-id=${runId}`]),
        ]
        const reply = yield* run(place, "up", [...options, "--", target], text)
        return yield* decoded("up", Schema.Struct({ runId: Schema.String }), reply)
      }),
    fork: ({ runId, by, dryRun, frame, before, fromFailure, input, set }) =>
      Effect.gen(function* () {
        // Only one of the two can come by standard input.
        const given = inputArgs(input)
        const options = [
          ...[`--by=${by}`, ...given.args],
          ...(dryRun ? ["--dry-run"] : []),
          ...(fromFailure === true ? ["--from-failure"] : []),
          ...(frame === undefined ? [] : [`--frame=${frame}`]),
          ...(before === undefined ? [] : [`--before=${before}`]),
          ...(set === undefined ? [] : [`--set=${JSON.stringify(set)}`]),
        ]
        const reply = yield* run(place, "fork", [...options, "--", runId], given.text)
        return yield* decoded("fork", Forked, reply)
      }),
  }
}

/** Makes the processes that work on the runs of a database. */
export const processesOf = (place: Place): ProcessesShape => ({
  // A live process without a valid lease cannot write.
  isWorking: (run, now) => owners.isAlive(run, now) || owners.isSeen(run),
  begin: (runId) =>
    run(place, "up", [`--run-id=${runId}`, "--resume=true", "--detach"]).pipe(
      Effect.asVoid,
      Effect.mapError(({ problem }) => new CannotWork({ runId, problem })),
    ),
})
