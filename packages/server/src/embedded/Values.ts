/**
 * Works on workflows that a program holds as values, in its own process and on its own engine.
 */
import type { Definition } from "@smithers/core/Definition"
import type { Engine } from "@smithers/core/Engine"
import { InvalidSetting, RunIdTaken } from "@smithers/core/Errors"
import * as Fork from "@smithers/core/Fork"
import { generateRunId } from "@smithers/core/Ids"
import * as Millis from "@smithers/core/Millis"
import type { Plan } from "@smithers/core/Plan"
import * as PlanText from "@smithers/core/PlanText"
import { checkInput, preview } from "@smithers/core/Preview"
import * as Revert from "@smithers/core/Revert"
import type { RunReaderShape } from "@smithers/core/RunReader"
import { schedule } from "@smithers/core/ScheduleCommands"
import * as Status from "@smithers/core/Status"
import type { Ports } from "@smithers/core/Storage"
import { defined } from "@smithers/core/Struct"
import type { RunHandle, Runs } from "@smithers/core/Workflow"
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import { CannotWork, CommandFailed } from "../operations/Errors.ts"
import type { Tagged } from "../operations/Operation.ts"
import type { ProcessesShape } from "../operations/Processes.ts"
import type { WorkflowFilesShape } from "../operations/WorkflowFiles.ts"
import * as Against from "../views/Against.ts"
import * as PlanTree from "../views/PlanTree.ts"

/** A workflow of either front end. `R` is the services of its steps. */
export interface Value<out R> extends Pick<Runs<never, unknown, R, unknown>, "start" | "attach"> {
  readonly name: string
  readonly version: string | undefined
  readonly definition: Definition<R>
}

/** A first plan, and its problems. */
export interface Drawn {
  readonly plan: Plan
  readonly pending: ReadonlyArray<string>
  readonly problems: ReadonlyArray<Against.Problem>
}

/** Draws the first plan of a workflow for an input. */
export type Draw = (workflow: { readonly name: string }, input: unknown) => Either.Either<Drawn, Tagged>

/** The services of the steps of a workflow. */
export type ServicesOf<W> = W extends Value<infer R> ? R : never

/** The workflows of a program, what they need, and the runs of its store. */
export interface Values<R> {
  readonly workflows: ReadonlyArray<Value<R>>
  readonly reader: Pick<RunReaderShape, "run" | "origin">
  readonly services: Context.Context<Engine | Ports | R>
  readonly draw: Draw
}

const failure = (command: string, error: Tagged): CommandFailed => {
  const { _tag: tag, message, cause: _, name: __, stack: ___, ...rest } = { ...error } as Tagged & Record<string, unknown>
  const fields = JSON.parse(JSON.stringify(rest)) as Record<string, unknown>
  return new CommandFailed({ command, tag, problem: error.message ?? message, fields })
}

const failed = (command: string, tag: string, problem: string): CommandFailed => new CommandFailed({ command, tag, problem })

/** A duration as text, such as `6h`. */
const span = (setting: string, text: string | undefined) =>
  text === undefined
    ? Effect.succeed(undefined)
    : Effect.mapError(
        Millis.parseDuration(text, "s"),
        () => new InvalidSetting({ setting, received: JSON.stringify(text), expected: "a duration such as 90s or 6h" }),
      )

/** Time between two looks at a run that is about to begin, in milliseconds. */
const lookMs = 10

/** Waits until a run is there and has an owner, or its handle tells why it never will. */
const begun = (handle: RunHandle<unknown, unknown>, isThere: Effect.Effect<boolean>) =>
  Effect.raceFirst(
    Effect.asVoid(handle.waiting),
    Effect.asVoid(Effect.repeat(Effect.delay(isThere, lookMs), { until: (found) => found })),
  )

/** Makes the workflow files of a program that has its workflows as values: they can be neither read nor written. */
export const filesOf = <R>({ workflows, reader, services, draw }: Values<R>): WorkflowFilesShape => {
  const names = workflows.map(({ name }) => name)
  const within = <A, E extends Tagged>(command: string, effect: Effect.Effect<A, E, Engine | Ports | R>) =>
    Effect.mapError(Effect.provide(effect, services), (error) => failure(command, error))
  const find = (command: string, name: string) =>
    Effect.suspend(() => {
      const found = workflows.find((workflow) => workflow.name === name)
      if (found !== undefined) return Effect.succeed(found)
      const known = `Its workflows: ${names.join(", ") || "none"}.`
      return failed(command, "NoSuchWorkflow", `This server has no workflow "${name}". ${known}`)
    })
  const ofRun = (command: string, runId: string) =>
    Effect.flatMap(within(command, reader.run(runId)), ({ run }) => find(command, run.workflow))
  const noFile = (name: string) =>
    failed("workflow", "NoSuchFile", `"${name}" is a value of the program that serves it, and no file. Change it in its source.`)
  return {
    list: Effect.sync(() => ({ root: process.cwd(), workflows: names.map((name) => ({ name, path: name })) })),
    read: (name) => Effect.flatMap(find("workflow", name), () => noFile(name)),
    write: ({ name }) => noFile(name),
    describe: (name) =>
      Effect.gen(function* () {
        const workflow = yield* find("workflow show", name)
        const drawn = yield* Effect.either(Effect.orElse(draw(workflow, {}), () => draw(workflow, undefined)))
        const isDrawn = drawn._tag === "Right"
        return {
          ...{ workflow: name, version: workflow.version ?? null, file: name, export: null },
          input: workflow.definition.input.inputSchema ?? null,
          plan: isDrawn ? PlanTree.parse(PlanText.decode(drawn.right.plan.text)) : null,
          problem: isDrawn ? null : drawn.left.message,
        }
      }),
    check: ({ workflow: name, input, against }) =>
      Effect.gen(function* () {
        const workflow = yield* find("check", name)
        const seen = against === undefined ? undefined : yield* within("check", preview(workflow.definition, against))
        if (input !== undefined) yield* within("check", checkInput(workflow.definition, name, input))
        const drawn = yield* Effect.either(draw(workflow, input ?? seen?.state.input ?? {}))
        const compared = seen === undefined ? undefined : Against.compare(seen)
        const found =
          drawn._tag === "Right"
            ? drawn.right.problems
            : [{ kind: "render", message: drawn.left.message } satisfies Against.Problem]
        const plan = drawn._tag === "Right" ? drawn.right.plan : compared?.plan
        return {
          ...{ workflow: name, file: name, steps: plan === undefined ? 0 : PlanText.count(plan) },
          problems: [...found, ...(compared?.problems ?? [])],
          pending: drawn._tag === "Right" ? drawn.right.pending : [],
          difference: compared?.difference ?? null,
        }
      }),
    start: ({ workflow: name, input, startAt, tags, ...given }) =>
      Effect.gen(function* () {
        const workflow = yield* find("up", name)
        const runId = given.runId ?? (yield* generateRunId)
        const exists = Effect.map(Effect.orDie(reader.origin(runId)), (origin) => origin !== undefined)
        if (yield* exists) return yield* failure("up", new RunIdTaken({ runId }))
        const options = { runId, ...defined({ tags }), ...(startAt === undefined ? {} : { startAt: new Date(startAt) }) }
        // The workflow decodes it.
        const handle = yield* within("up", workflow.start(input as never, options))
        yield* within("up", begun(handle, exists))
        return { runId }
      }),
    schedule: ({ workflow: name, input, cron, tz, id, overlap, catchUp, jitter, tags, onExisting = "refuse" }) =>
      Effect.gen(function* () {
        const workflow = yield* find("schedule add", name)
        const times = yield* within(
          "schedule add",
          Effect.all({ catchUp: span("catchUp", catchUp), jitter: span("jitter", jitter) }),
        )
        const options = { cron, onExisting, ...defined({ tz, id, overlap, tags, ...times }) }
        return { schedule: yield* within("schedule add", schedule(workflow, input, options)) }
      }),
    fork: ({ runId, newRunId, ...options }) =>
      Effect.gen(function* () {
        const { definition } = yield* ofRun("fork", runId)
        const wanted = { ...defined(options), ...defined({ runId: newRunId }) }
        return yield* within("fork", Fork.fork(definition, runId, wanted))
      }),
    revert: ({ runId, ...options }) =>
      Effect.gen(function* () {
        const { definition } = yield* ofRun("revert", runId)
        return yield* within("revert", Revert.revert(definition, runId, defined(options)))
      }),
  }
}

/** Makes the port to the work on runs: the engine of this program works on those of its workflows. */
export const processesOf = <R>({ workflows, reader, services }: Values<R>): ProcessesShape => ({
  isWorking: ({ owner, leaseUntil }, now) => owner !== null && leaseUntil !== null && leaseUntil > now,
  begin: (runId) =>
    Effect.gen(function* () {
      const { run } = yield* reader.run(runId)
      const workflow = workflows.find(({ name }) => name === run.workflow)
      const refuse = (problem: string) => new CannotWork({ runId, problem })
      if (workflow === undefined)
        return yield* refuse(
          `its workflow is "${run.workflow}", and this server has ${workflows.map(({ name }) => name).join(", ")}`,
        )
      if (Status.isEnded(run.status) && run.status !== "failed") return
      const handle = yield* workflow.attach(runId, { onFailed: "resume" })
      const isThere = Effect.map(Effect.orDie(reader.run(runId)), ({ run }) => run.owner !== null)
      yield* begun(handle, isThere)
    }).pipe(
      Effect.provide(services),
      Effect.mapError((error) => (error._tag === "CannotWork" ? error : new CannotWork({ runId, problem: error.message }))),
    ),
})
