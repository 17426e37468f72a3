/**
 * Commands that show and check plans without running anything.
 */
import { existsSync } from "node:fs"
import type { InvalidInput, InvalidWorkflow, RenderFailed } from "@smithers/core/Errors"
import type { Plan } from "@smithers/core/Plan"
import * as PlanBounds from "@smithers/core/PlanBounds"
import * as PlanText from "@smithers/core/PlanText"
import { checkInput, preview } from "@smithers/core/Preview"
import { ports } from "@smithers/core/Storage"
import type { JsxWorkflow } from "@smithers/jsx/Workflow"
import { compare, type Problem } from "@smithers/server/views/Against"
import * as PlanTree from "@smithers/server/views/PlanTree"
import { json, plural } from "@smithers/server/views/Text"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Predicate from "effect/Predicate"
import * as BoundsText from "../BoundsText.ts"
import { connectRun } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Exit } from "../Exit.ts"
import * as Input from "../Input.ts"
import type { Checked } from "../Output.ts"
import * as PlanDrawing from "../PlanDrawing.ts"
import { looksLikeFile, parseTarget } from "../Target.ts"
import { facadeOf, isJsx, type LoadedWorkflow, load, nameOrNone, type WorkflowModule } from "../WorkflowFile.ts"

interface PlanOptions {
  readonly db: string | undefined
  readonly input: string | undefined
  readonly export: string | undefined
}

/** Errors of the project's `renderPlan`, which may be another copy than that of the command. */
type Thrown = InvalidInput | InvalidWorkflow | RenderFailed

const isKnown = (thrown: unknown): thrown is Thrown =>
  Predicate.isTagged(thrown, "InvalidInput") ||
  Predicate.isTagged(thrown, "InvalidWorkflow") ||
  Predicate.isTagged(thrown, "RenderFailed")

/** The first plan of a workflow, and its problems. */
interface Drawn {
  readonly name: string
  readonly plan: Plan
  readonly pending: ReadonlyArray<string>
  readonly impurities: ReadonlyArray<string>
  readonly faults: ReadonlyArray<string>
  readonly warnings: ReadonlyArray<string>
}

/** Renders a plan with the given input. Without one, tries `usual` inputs until one is valid. */
const draw = ({ workflow, path }: WorkflowModule, text: string | undefined, usual: ReadonlyArray<unknown> = [{}, undefined]) =>
  Effect.gen(function* () {
    if (!isJsx(workflow)) {
      const { name, plan } = workflow as LoadedWorkflow & { readonly plan: Plan }
      // Its plan needs no input, but one that is given must be valid.
      if (text !== undefined) yield* checkInput(workflow.definition, name, yield* Input.read("--input", text))
      return { name, plan, pending: [], impurities: [], faults: [], warnings: [] } satisfies Drawn
    }
    const { renderPlan } = yield* facadeOf(path)
    const inputs = text === undefined ? usual : [yield* Input.read("--input", text)]
    let failed: Either.Either<Drawn, Thrown> | undefined
    for (const input of inputs) {
      const drawn = yield* Effect.either(
        Effect.try({
          try: (): Drawn => {
            const rendered = renderPlan(workflow as unknown as JsxWorkflow<unknown>, { input, checkPurity: true })
            const pending = rendered.tasks.filter(({ isProvisional }) => isProvisional).map(({ id }) => id)
            const { name, plan, impurities, faults, warnings } = rendered
            return { name, plan, pending, impurities, faults, warnings }
          },
          catch: (thrown) => thrown,
        }).pipe(Effect.catchAll((thrown) => (isKnown(thrown) ? Effect.fail(thrown) : Effect.die(thrown)))),
      )
      if (Either.isRight(drawn)) return drawn.right
      failed ??= drawn
    }
    return yield* failed as Either.Either<Drawn, Thrown>
  })

/** Returns `true` if there is a run with this id, which may look like a file name. */
const isRun = ({ db, target }: { readonly db: string | undefined; readonly target: string }) =>
  Effect.map(Effect.option(Effect.scoped(connectRun(db, target))), (found) => Option.isSome(found) && found.value.runId === target)

export const graph = (
  options: PlanOptions & { readonly target: string; readonly format: "tree" | "mermaid" | "dot" | "json" | undefined },
) =>
  Effect.scoped(
    Effect.gen(function* () {
      const isFile = looksLikeFile(options.target) && (existsSync(parseTarget(options.target).file) || !(yield* isRun(options)))
      if (isFile) {
        const { name, plan } = yield* draw(yield* load(options.target, { exported: options.export }), options.input)
        const drawn = PlanText.decode(plan.text)
        const bounds = PlanBounds.inForce(drawn)
        return shown({ workflow: name, runId: null, roots: PlanTree.parse(drawn), bounds }, options.format)
      }
      const { storage, runId } = yield* connectRun(options.db, options.target)
      const { run, nodes } = yield* storage.inspect(runId)
      const drawn = PlanText.decode(yield* storage.plan(runId))
      const bounds = PlanBounds.inForce(drawn)
      return shown({ workflow: run.workflow, runId, roots: PlanTree.parse(drawn, nodes), bounds }, options.format)
    }),
  )

interface Shown {
  readonly workflow: string
  readonly runId: string | null
  readonly roots: ReturnType<typeof PlanTree.parse>
  readonly bounds: ReadonlyArray<PlanBounds.BoundInForce>
}

const shown = (value: Shown, format: "tree" | "mermaid" | "dot" | "json" = "tree"): Reply => {
  const { workflow, roots, bounds } = value
  const boundsText = BoundsText.ofPlan(bounds)
  const forms = {
    tree: () => `${workflow}\n${PlanDrawing.toTree(roots)}${boundsText === "" ? "" : `\n\n${boundsText}`}`,
    mermaid: () => PlanDrawing.toMermaid(roots),
    dot: () => PlanDrawing.toDot(workflow, roots),
    json: () => json(value, 2) ?? "",
  }
  return { value, text: forms[format]() }
}

/** Describes a workflow: the JSON Schema of its input, and its plan if it can be drawn without one. */
export const show = (options: { readonly workflow: string; readonly export: string | undefined }) =>
  Effect.gen(function* () {
    const loaded = yield* load(options.workflow, { exported: options.export })
    const { workflow, path, exported } = loaded
    const drawn = yield* Effect.either(draw(loaded, undefined))
    const roots = Either.isRight(drawn) ? PlanTree.parse(PlanText.decode(drawn.right.plan.text)) : null
    const input = workflow.definition.input.inputSchema ?? null
    const problem = Either.isLeft(drawn) ? drawn.left.message : null
    const name = nameOrNone(workflow) ?? null
    const value = {
      workflow: name,
      version: workflow.version ?? null,
      file: path,
      export: exported ?? null,
      input,
      plan: roots,
      problem,
    }
    const text = [
      `${name ?? "?"}${workflow.version === undefined ? "" : ` ${workflow.version}`}: ${path}`,
      `Input: ${input === null ? "its schema library gives no JSON Schema" : json(input, 2)}`,
      roots === null ? `No plan without an input: ${problem}` : PlanDrawing.toTree(roots),
    ]
    return { value, text: text.join("\n") } satisfies Reply
  })

export const check = (options: PlanOptions & { readonly workflow: string; readonly against: string | undefined }) =>
  Effect.scoped(
    Effect.gen(function* () {
      const loaded = yield* load(options.workflow, { exported: options.export })
      const { path } = loaded
      const problems: Array<Problem> = []
      const run = options.against === undefined ? undefined : yield* previewOf(options.db, options.against, loaded.workflow)
      const drawn = yield* Effect.either(draw(loaded, options.input, run === undefined ? undefined : [run.state.input]))
      if (Either.isLeft(drawn)) {
        const error = drawn.left
        // Problems of a stored input are reported below.
        if (error._tag === "InvalidInput" && options.input === undefined && run === undefined) {
          const problem = `It needs an input to render: ${error.message.replace(/ Nothing was started\.$/, "")} Give one with --input`
          return yield* new InvalidUsage({ problem, command: "check" })
        }
        if (error._tag === "InvalidWorkflow" || error._tag === "RenderFailed")
          problems.push({ kind: error._tag === "InvalidWorkflow" ? "invalid" : "render", message: error.message })
        else if (options.input !== undefined || error._tag !== "InvalidInput") return yield* Effect.fail(error)
      } else {
        problems.push(...drawn.right.impurities.map((message): Problem => ({ kind: "impure", message })))
        problems.push(...drawn.right.faults.map((message): Problem => ({ kind: "invalid", message })))
        problems.push(...drawn.right.warnings.map((message): Problem => ({ kind: "warning", message })))
      }
      const against = run === undefined ? undefined : compare(run)
      problems.push(...(against?.problems ?? []))
      const known = Either.getOrUndefined(drawn)
      const plan = known?.plan ?? against?.plan
      const steps = plan === undefined ? 0 : PlanText.count(plan)
      const difference = against?.difference ?? null
      const value = {
        workflow: known?.name ?? run?.state.workflow ?? "?",
        file: path,
        steps,
        problems,
        pending: known?.pending ?? [],
        difference,
      }
      const code = problems.every(({ kind }) => kind === "warning") ? Exit.finished : Exit.failed
      return { value, text: checkText(value), code } satisfies Reply
    }),
  )

const checkText = (value: typeof Checked.Type): string => {
  const { workflow, file, steps, problems, pending, difference } = value
  const warnings = problems.filter(({ kind }) => kind === "warning").length
  const counts = [
    problems.length > warnings ? plural(problems.length - warnings, "problem") : undefined,
    warnings > 0 ? plural(warnings, "warning") : undefined,
  ].filter((count) => count !== undefined)
  const state = counts.length === 0 ? `${workflow}: ${plural(steps, "step")}, no problems.` : `${file}: ${counts.join(", ")}.`
  const lines = [
    state,
    ...problems.map(({ kind, message }) => `  ${kind}: ${message.replaceAll("\n", "\n    ")}`),
    ...(pending.length === 0 ? [] : [`Waits for outputs that do not exist yet: ${pending.join(", ")}`]),
  ]
  if (difference !== null) {
    const parts = (["kept", "changed", "added", "removed"] as const).map((name) => {
      const ids = difference[name]
      return `  ${name.padEnd(7)} ${ids.length}${ids.length === 0 ? "" : `: ${ids.join(", ")}`}`
    })
    lines.push("Changes if the run resumes with it:", ...parts)
  }
  return lines.join("\n")
}

/** Previews the plan of a run under the current code, beside its stored plan. */
const previewOf = (db: string | undefined, run: string, { definition }: LoadedWorkflow) =>
  Effect.gen(function* () {
    const { storage, runId } = yield* connectRun(db, run)
    return yield* Effect.provide(preview(definition, runId), ports(storage))
  })
