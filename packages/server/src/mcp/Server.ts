/**
 * A server of the Model Context Protocol over the operations. Loads the SDK when it is made.
 */
import type { Server } from "@modelcontextprotocol/sdk/server/index.js"
import type { ClientCapabilities } from "@modelcontextprotocol/sdk/types.js"
import { version } from "@smithers/core/Package"
import * as Secrets from "@smithers/core/Secrets"
import { ports, type StorageShape } from "@smithers/core/Storage"
import { Workspaces, type WorkspacesShape } from "@smithers/core/Workspaces"
import * as Cause from "effect/Cause"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { failureOf } from "../http/Failures.ts"
import { Caller, type CallerShape, includes } from "../operations/Caller.ts"
import { Processes, type ProcessesShape } from "../operations/Processes.ts"
import { WorkflowFiles, type WorkflowFilesShape } from "../operations/WorkflowFiles.ts"
import { addressOf, type Page, parse, prompts, templates } from "./Pages.ts"
import { Person } from "./Person.ts"
import { tools } from "./Tools.ts"

export interface McpOptions {
  readonly storage: StorageShape
  readonly processes: ProcessesShape
  readonly files: WorkflowFilesShape
  readonly workspaces: WorkspacesShape
  /** Pages of the documentation. */
  readonly pages: ReadonlyArray<Page>
  /** The caller. Without a name, decisions are stored as `mcp:` with the name of the client. */
  readonly caller: Omit<CallerShape, "name"> & { readonly name?: string }
  /** `true` if clients that cannot ask a person may decide. Default: `false`. */
  readonly allowApprove?: boolean
}

/** Time in which a person confirms a decision, in milliseconds. */
const patienceMs = 30 * 60_000

const instructions =
  "Smithers runs durable workflows. Finished steps never run again, and runs continue after crashes. To see why a run stands still, call why. To write a workflow, read smithers://docs/quickstart. Approvals and questions are decided by people: approve, deny and answer ask them."

/** Returns `true` if a client can show a form to its user. A client that names no mode can. */
const canAsk = (client: ClientCapabilities | undefined): boolean => {
  const { elicitation } = client ?? {}
  return elicitation !== undefined && (elicitation.form !== undefined || elicitation.url === undefined)
}

/** Makes a server that is not connected yet. */
export const make = async ({
  storage,
  processes,
  files,
  workspaces,
  pages,
  caller,
  allowApprove = false,
}: McpOptions): Promise<Server> => {
  const [{ Server }, Types] = await Promise.all([
    import("@modelcontextprotocol/sdk/server/index.js"),
    import("@modelcontextprotocol/sdk/types.js"),
  ])
  const capabilities = { tools: {}, resources: {}, prompts: {} }
  const server = new Server({ name: "smithers", title: "Smithers", version }, { capabilities, instructions })
  const store = ports(storage).pipe(
    Context.add(Processes, processes),
    Context.add(WorkflowFiles, files),
    Context.add(Workspaces, workspaces),
  )
  const offered = tools.filter(({ operation }) => includes(caller.scope, operation.scope))
  const nameOfCaller = (): string => caller.name ?? `mcp:${server.getClientVersion()?.name ?? "unknown"}`

  /** Performs a tool. Returns its value, or the error as the API has it. */
  const perform = async (
    name: string,
    args: unknown,
    confirm: ((text: string) => Effect.Effect<boolean>) | undefined,
    signal: AbortSignal,
  ) => {
    const found = offered.find((one) => one.name === name)
    if (found === undefined) throw new Types.McpError(Types.ErrorCode.InvalidParams, `There is no tool "${name}" for this caller.`)
    const services = store.pipe(
      Context.add(Caller, { ...caller, name: nameOfCaller() }),
      Context.add(Person, { confirm, isTrusted: allowApprove }),
    )
    const exit = await Effect.runPromiseExit(Effect.provide(Effect.either(found.call(args)), services), { signal })
    if (Exit.isSuccess(exit))
      return exit.value._tag === "Right" ? { value: exit.value.right } : { error: failureOf(exit.value.left).error }
    const message = Secrets.text(Cause.pretty(exit.cause).split("\n", 1)[0] ?? "")
    return { error: { tag: "Defect", message: `Internal error of smithers: ${message}` } }
  }

  server.setRequestHandler(Types.ListToolsRequestSchema, () => ({
    tools: offered.map(({ name, description, inputSchema, outputSchema, annotations }) => ({
      ...{ name, description, annotations },
      inputSchema: { ...inputSchema },
      outputSchema: { ...outputSchema },
    })),
  }))

  server.setRequestHandler(Types.CallToolRequestSchema, async ({ params }, { signal, sendRequest }) => {
    const confirm = (text: string) =>
      Effect.map(
        Effect.promise(() =>
          sendRequest(
            {
              method: "elicitation/create",
              params: {
                mode: "form",
                message: text,
                requestedSchema: {
                  type: "object",
                  properties: { confirm: { type: "boolean", title: "Confirm this decision", default: false } },
                  required: ["confirm"],
                },
              },
            },
            Types.ElicitResultSchema,
            { timeout: patienceMs, signal },
          ),
        ),
        ({ action, content }) => action === "accept" && content?.confirm === true,
      )
    const asking = canAsk(server.getClientCapabilities()) ? confirm : undefined
    const result = await perform(params.name, params.arguments, asking, signal)
    if ("value" in result) {
      const { value } = result
      return { content: [{ type: "text", text: JSON.stringify(value) }], structuredContent: { ...value } }
    }
    const error = Secrets.value(result)
    return { content: [{ type: "text", text: JSON.stringify(error) }], isError: true }
  })

  server.setRequestHandler(Types.ListResourcesRequestSchema, () => ({
    resources: pages.map((page) => ({
      ...{ uri: addressOf(page), name: page.name, title: page.title, mimeType: "text/markdown" },
    })),
  }))
  server.setRequestHandler(Types.ListResourceTemplatesRequestSchema, () => ({
    resourceTemplates: templates.map(({ tool: _, ...template }) => ({ ...template, mimeType: "application/json" })),
  }))
  server.setRequestHandler(Types.ReadResourceRequestSchema, async ({ params: { uri } }, { signal }) => {
    const found = parse(uri)
    const missing = new Types.McpError(Types.ErrorCode.InvalidParams, `There is no resource ${uri}.`)
    if (found === undefined) throw missing
    if ("page" in found) {
      const page = pages.find(({ name }) => name === found.page)
      if (page === undefined) throw missing
      return { contents: [{ uri, mimeType: "text/markdown", text: page.text }] }
    }
    const result = await perform(found.tool, { runId: found.runId }, undefined, signal)
    if ("error" in result) throw new Types.McpError(Types.ErrorCode.InvalidParams, Secrets.text(result.error?.message ?? ""))
    return { contents: [{ uri, mimeType: "application/json", text: JSON.stringify(result.value) }] }
  })

  server.setRequestHandler(Types.ListPromptsRequestSchema, () => ({
    prompts: prompts.map(({ name, description, argument }) => ({
      ...{ name, description },
      arguments: [{ ...argument, required: true }],
    })),
  }))
  server.setRequestHandler(Types.GetPromptRequestSchema, ({ params }) => {
    const found = prompts.find(({ name }) => name === params.name)
    const value = found === undefined ? undefined : params.arguments?.[found.argument.name]
    if (found === undefined || value === undefined)
      throw new Types.McpError(
        Types.ErrorCode.InvalidParams,
        found === undefined ? `There is no prompt "${params.name}".` : `The prompt needs "${found.argument.name}".`,
      )
    return {
      description: found.description,
      messages: [{ role: "user", content: { type: "text", text: found.text(value) } }],
    }
  })
  return server
}
