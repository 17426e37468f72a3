/**
 * Tries one workflow file of Smithers 0.x in a process of its own: loads it, draws it, and runs it in a test runtime. Agents, tools and model providers are stand-ins that
 * reply with values of the schema; approvals are granted. What comes out is appended to a file, a line for each stage, so that the caller has it where the time is up.
 *
 * The code of tasks runs as it is. It finds an empty folder with a repository of git, no network by `fetch`, and an environment without keys.
 */
import { appendFileSync } from "node:fs"
import { inspect } from "node:util"
import { withRuntime } from "@smithers/cli/WorkflowFile"
import * as Compatibility from "@smithers/jsx/Compatibility"
import * as Facade from "smithers-orchestrator"
import { mdx } from "smithers-orchestrator/mdx"
import * as Testing from "smithers-orchestrator/testing"
import type { AgentRequest } from "../../packages/core/src/Agent.ts"

/** A stage, as it is reported. */
export type Stage =
  | { readonly stage: "loads" | "draws" }
  | { readonly stage: "ends"; readonly status: string; readonly cause?: string }

/** What the process is given, as JSON in its last argument. */
export interface Trial {
  /** The workflow, an absolute path. */
  readonly file: string
  /** File of the stages. */
  readonly report: string
  /** What the checkout imports of `ai` and of model providers, by module. */
  readonly providers: { readonly [module: string]: ReadonlyArray<string> }
}

const messageOf = (thrown: unknown): string => {
  if (!(thrown instanceof Error)) return `it threw ${inspect(thrown)}`
  const [, name = ""] = /^Export named '([^']+)' not found in module/.exec(thrown.message) ?? []
  const [, specifier = ""] = /^Cannot find (?:package|module) '([^']+)'/.exec(thrown.message) ?? []
  const cure = Compatibility.cureOfImport(name) ?? Compatibility.cureOfImport(specifier)
  const [first = ""] = thrown.message.split("\n")
  return `${thrown.name}: ${first}${cure === undefined ? "" : ` ${cure}`}`
}

const replyOf = async (schema: unknown, stepId: string, iteration = 0): Promise<unknown> => {
  const context = { outputSchema: schema ?? {}, stepId, iteration, attempt: 1 }
  const reply = await Testing.agentFromSchema({ seed: 7 }).generate({ prompt: "", context } as unknown as AgentRequest)
  return "text" in reply ? JSON.parse(reply.text) : undefined
}

/** An agent of any package: its replies match the schema that it is given. */
class StandIn {
  readonly wantsContext = true
  readonly name = "stand-in"
  readonly generate = Testing.agentFromSchema({ seed: 7, name: "stand-in" }).generate
}

/** A model, a provider, or what else a provider's package makes: whatever is done with it gives another one. */
const anything = (name: string): unknown =>
  new Proxy(function standIn() {}, {
    apply: () => anything(name),
    construct: () => anything(name) as object,
    get: (_, key) =>
      typeof key === "symbol" || key === "then" ? undefined : key === "modelId" ? name : anything(`${name}.${key}`),
  })

const tool = (name: string) => ({ description: `a stand-in of ${name}`, inputSchema: { type: "object" }, execute: () => "" })

const mapOf = <A>(names: ReadonlyArray<string>, make: (name: string) => A): { readonly [name: string]: A } =>
  Object.fromEntries(names.map((name) => [name, make(name)]))

const agentNames = Object.keys(Facade).filter((name) => /Agent$/.test(name) && name !== "createAgent")
const toolNames = ["applyPatch", "bash", "edit", "grep", "read", "write"]
const stoodIn = { ...mapOf(agentNames, () => StandIn), ...mapOf(toolNames, tool), createAgent: () => new StandIn() }

/** What is in place of `ai`: agents that reply, functions that give nothing, and helpers. */
const sdk = (names: ReadonlyArray<string>) =>
  mapOf(names, (name) => {
    if (/Agent$/.test(name)) return StandIn
    return name === "tool" || name === "dynamicTool" ? (made: unknown) => made : anything(name)
  })

const prepare = async ({ providers }: Trial): Promise<void> => {
  const subpaths = [
    "agents",
    "effect-ai",
    "jsx-dev-runtime",
    "jsx-runtime",
    "mdx",
    "mdx-plugin",
    "patterns",
    "scorers",
    "testing",
    "tools",
  ]
  const loaded = await Promise.all(subpaths.map(async (path) => [path, await import(`smithers-orchestrator/${path}`)] as const))
  const react = { ...(await import("react")) }
  Bun.plugin({
    name: "stand-ins",
    setup: (build) => {
      const offer = (name: string, exports: object) =>
        build.module(name, () => ({ exports: exports as Record<string, unknown>, loader: "object" }))
      offer("smithers-orchestrator", { ...Facade, ...stoodIn })
      for (const [path, module] of loaded) {
        const replaced = Object.fromEntries(Object.entries(stoodIn).filter(([name]) => name in module))
        offer(`smithers-orchestrator/${path}`, { ...module, ...replaced })
      }
      // A second copy could render no hooks of ours.
      offer("react", react)
      for (const [name, names] of Object.entries(providers)) offer(name, name === "ai" ? sdk(names) : mapOf(names, anything))
      build.onLoad({ filter: /^(?!.*\/node_modules\/).*\.[jt]sx$/ }, async ({ path }) => ({
        contents: withRuntime(await Bun.file(path).text()),
        loader: path.endsWith(".tsx") ? "tsx" : "jsx",
      }))
    },
  })
  Bun.plugin(mdx())
  globalThis.fetch = Object.assign(() => Promise.reject(new Error("a trial has no network")), { preconnect: () => {} })
}

interface Loaded extends Facade.JsxWorkflow<unknown> {}

/** The first input that the workflow takes: none, an empty one, or one of its schema. */
const inputFor = async (workflow: Loaded): Promise<unknown> => {
  const { input } = workflow.definition
  const made = await replyOf(input.inputSchema, "input")
  for (const one of [{}, made]) {
    try {
      Facade.renderPlan(workflow, { input: one })
      return one
    } catch (thrown) {
      if (!(thrown instanceof Error) || thrown.name !== "InvalidInput") return one
    }
  }
  return made
}

/** Answers the waits of a run until it waits for nothing that can be answered. */
const answerAll = async (runtime: Testing.TestRuntime.PromisedRuntime, workflow: Loaded, input: unknown): Promise<void> => {
  const { nodes } = Facade.renderPlan(workflow, { input }).plan
  const waitFor = (kind: "approval" | "human" | "signal") => runtime.waitFor("trial", { kind }).catch(() => undefined)
  for (;;) {
    const wait = (await waitFor("approval")) ?? (await waitFor("human")) ?? (await waitFor("signal"))
    if (wait === undefined) return
    const { kind, nodeId, iteration, name, correlation } = wait
    const request: { readonly schema?: unknown; readonly options?: ReadonlyArray<{ readonly key: string }> } = Object(wait.request)
    const choose = request.options?.[0]?.key
    if (kind === "approval")
      await runtime.approve("trial", nodeId, { iteration, by: "trial", ...(choose === undefined ? {} : { choose }) })
    else if (kind === "human")
      await runtime.answer("trial", nodeId, await replyOf(request.schema, nodeId), { iteration, by: "trial" })
    else {
      const node = nodes.find((one) => "id" in one && one.id === nodeId)
      const schema = node !== undefined && "codec" in node ? node.codec?.inputSchema : undefined
      const payload = await replyOf(schema, nodeId)
      await runtime.signal("trial", name ?? nodeId, { payload, ...(correlation === null ? {} : { correlation }) })
    }
  }
}

const run = async (workflow: Loaded, input: unknown): Promise<Stage> => {
  await using runtime = Testing.TestRuntime.make({ patience: "10 seconds" })
  const handle = await runtime.start(workflow, input, { runId: "trial" })
  await answerAll(runtime, workflow, input)
  const result = await handle.waiting()
  const { status } = result
  if (result.status === "failed") return { stage: "ends", status, cause: messageOf(result.error) }
  if (!("waits" in result)) return { stage: "ends", status }
  return { stage: "ends", status, cause: `waits for ${result.waits.map(({ kind, nodeId }) => `${kind} "${nodeId}"`).join(", ")}` }
}

const attempt = async (trial: Trial): Promise<void> => {
  const tell = (stage: Stage): void => appendFileSync(trial.report, `${JSON.stringify(stage)}\n`)
  try {
    await prepare(trial)
    const module: { readonly [name: string]: unknown } = await import(trial.file)
    const found = [module.default, ...Object.values(module)].find(
      (one) => typeof one === "object" && one !== null && "definition" in one,
    )
    if (found === undefined) throw new Error("it exports no workflow")
    const workflow = found as Loaded
    tell({ stage: "loads" })
    const input = await inputFor(workflow)
    Facade.renderPlan(workflow, { input })
    tell({ stage: "draws" })
    tell(await run(workflow, input))
  } catch (thrown) {
    tell({ stage: "ends", status: "error", cause: messageOf(thrown) })
  }
}

if (import.meta.main) {
  await attempt(JSON.parse(process.argv.at(-1) ?? "{}"))
  process.exit(0)
}
