/**
 * Commands for the workflows of a project, by name.
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs"
import { dirname, join, relative, resolve } from "node:path"
import { nearestWord } from "@smithers/core/Names"
import { commandLine } from "@smithers/server/views/CommandLine"
import * as Effect from "effect/Effect"
import { facade } from "../BundledPackages.ts"
import { CannotWrite, InvalidUsage, InvalidWorkflowFile } from "../Errors.ts"
import { folders, homeOf, rootOf, workflows } from "../Project.ts"
import { table } from "../Table.ts"
import { type UpOptions, up } from "./up.ts"

interface WorkflowOptions {
  readonly name: string
  readonly root: string | undefined
}

/** Finds a workflow of a project by its name. */
export const find = ({ name, root }: WorkflowOptions) =>
  Effect.gen(function* () {
    const project = rootOf(root ?? ".")
    const known = workflows(project)
    const found = known.find((workflow) => workflow.name === name)
    if (found !== undefined) return found
    const names = known.map((workflow) => workflow.name)
    const near = nearestWord(name, names)
    const has = near !== undefined ? ` Did you mean "${near}"?` : names.length === 0 ? "" : ` Its workflows: ${names.join(", ")}.`
    return yield* new InvalidWorkflowFile({
      path: join(homeOf(project), `${name}.tsx`),
      reason: "missing",
      problem: `There is no workflow "${name}" in ${project}.${has} Run "${commandLine(undefined, "workflow create", [name])}" to create it.`,
    })
  })

export const list = ({ root: folder }: { readonly root: string | undefined }) =>
  Effect.sync(() => {
    const root = rootOf(folder ?? ".")
    const found = workflows(root)
    const rows = found.map(({ name, path }) => [name, relative(process.cwd(), path)])
    const text =
      found.length === 0
        ? `There are no workflows in ${root} (files in ${folders.join(" or ")}). Run "smithers workflow create <name>" to create one.`
        : table(["NAME", "FILE"], rows)
    return { value: { root, workflows: found }, text }
  })

export const path = (options: WorkflowOptions) => Effect.map(find(options), (found) => ({ value: found, text: found.path }))

export const run = (
  options: Omit<UpOptions, "workflow" | "resume" | "export"> & { readonly name: string; readonly resume: boolean },
) =>
  Effect.flatMap(find(options), ({ path }) => {
    // Runs of a project share a database, whichever of its folders the command is typed in.
    const root = options.root ?? rootOf(".")
    return up({ ...options, root, workflow: path, resume: options.resume ? "true" : undefined, export: undefined })
  })

/** Returns the source of a new workflow. */
export const template = (name: string): string => `/** @jsxImportSource ${facade} */
import { createSmithers, Sequence } from "${facade}"
import { z } from "zod"

const { Workflow, Task, Approval, smithers, outputs } = createSmithers(
  {
    plan: z.object({ steps: z.array(z.string()) }),
    report: z.object({ text: z.string() }),
  },
  { input: z.object({ goal: z.string().default("say hello") }) },
)

export default smithers((ctx) => (
  <Workflow name="${name}">
    <Sequence>
      {/* Put an agent in its place: agent={new ToolLoopAgent({ model })}, and the prompt as children. */}
      <Task id="plan" output={outputs.plan}>
        {() => ({ steps: [\`think about: \${ctx.input.goal}\`, "do it"] })}
      </Task>
      <Approval id="go" request={{ title: \`Go on with: \${ctx.input.goal}?\` }} />
      <Task id="report" output={outputs.report}>
        {() => ({ text: \`Done: \${ctx.output(outputs.plan, { nodeId: "plan" }).steps.join(", ")}\` })}
      </Task>
    </Sequence>
  </Workflow>
))
`

export const create = ({ name, root: folder }: WorkflowOptions) =>
  Effect.gen(function* () {
    if (!/^[A-Za-z0-9_.:@-]{1,200}$/.test(name)) {
      return yield* new InvalidUsage({
        problem: "A workflow name has 1 to 200 characters of A-Z a-z 0-9 _ . : @ -",
        command: "workflow create",
      })
    }
    const root = folder === undefined ? rootOf(".") : resolve(folder)
    const path = join(homeOf(root), `${name}.tsx`)
    if (existsSync(path))
      return yield* new InvalidUsage({ problem: `${path} already exists. It was not changed`, command: "workflow create" })
    yield* Effect.try({
      try: () => {
        mkdirSync(dirname(path), { recursive: true })
        writeFileSync(path, template(name))
      },
      catch: (thrown) => new CannotWrite({ path, problem: (thrown as Error).message }),
    })
    const text = `Wrote ${path}.\nRun it: ${commandLine(undefined, "workflow run", [name], [["input", '{"goal":"say hello"}']])}`
    return { value: { name, path }, text }
  })
