/**
 * Servers of the Model Context Protocol, whose tools an agent has. A server is started by the first call of an agent in an attempt,
 * under the isolation and the rights of its step, and ends with the attempt: however that ends, nothing of the server is left.
 */

import type * as Mcp from "@ai-sdk/mcp"
import type { MCPClient, MCPTransport } from "@ai-sdk/mcp"
import * as Bounds from "@smithers/core/Bounds"
import type { RunningCommand } from "@smithers/core/CommandRunner"
import { InvalidSetting } from "@smithers/core/Errors"
import * as Later from "@smithers/core/Later"
import * as SecretSettings from "@smithers/core/SecretSettings"
import * as Thrown from "@smithers/core/Thrown"
import type { ToolSet } from "ai"
import * as Cause from "effect/Cause"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Schema from "effect/Schema"
import type { Sdk } from "./internal/sdk.ts"
import * as Results from "./Results.ts"
import * as ToolRules from "./ToolRules.ts"
import type * as ToolSession from "./ToolSession.ts"
import { policyOf, runnerOf } from "./tools/bash.ts"

interface Common {
  /** Name of the server: letters, digits, `-` and `_`. It is put before the name of a tool that several servers or the agent have. */
  readonly name: string
  /** Names of the tools that the agent is to have, as the server calls them. Default: all. */
  readonly tools?: ReadonlyArray<string>
  /** Time in which the server is to start and list its tools. Default: 30 seconds. */
  readonly startTimeout?: Duration.DurationInput
  /** Time in which a call is to be answered. Default: 2 minutes. */
  readonly timeout?: Duration.DurationInput
  /** Most bytes of a result that a model gets; `Infinity` for no limit. Default: that of the runtime, otherwise 40,000. */
  readonly maxResultBytes?: number
}

/** A server that is started as a command, and spoken to by its standard input and output. */
export interface CommandServer extends Common {
  readonly command: string
  readonly args?: ReadonlyArray<string>
  /** Variables of the server, besides those that the runtime gives to commands. */
  readonly env?: { readonly [name: string]: string }
  readonly url?: never
}

/** A server that runs elsewhere, by streamable HTTP. The rights of the step do not bound it. */
export interface HttpServer extends Common {
  readonly url: string
  readonly headers?: { readonly [name: string]: string }
  readonly command?: never
}

export type McpServer = CommandServer | HttpServer

/** A server that did not start, or broke its protocol. */
export class McpServerFailed extends Later.TaggedError<McpServerFailed>()("McpServerFailed", {
  server: Schema.String,
  problem: Schema.String,
  /** Read by the classification of errors. */
  isRetryable: Schema.Boolean,
}) {
  override get message(): string {
    return `MCP server "${this.server}" ${this.problem}`
  }
}

const invalid = (setting: string, received: string, expected: string): never => {
  throw new InvalidSetting({ setting, received, expected })
}

/** Describes a server, for `createAgent({ mcp: [...] })`. Throws `InvalidSetting` for a name that tools cannot have. */
export const mcpServer = (server: McpServer): McpServer => {
  SecretSettings.addNamed(server.command === undefined ? server.headers : server.env)
  if (!/^[A-Za-z][\w-]{0,31}$/.test(server.name))
    return invalid("mcp.name", server.name, "a letter, followed by at most 31 letters, digits, - and _")
  if (server.url !== undefined && !/^https?:/.test(server.url))
    return invalid("mcp.url", server.url, "an address with http or https")
  return server
}

/** A server that runs. */
interface Connection {
  readonly client: MCPClient
  readonly definitions: ReadonlyArray<Definition>
}

type Definition = Awaited<ReturnType<MCPClient["listTools"]>>["tools"][number]

const defaultStart = Duration.seconds(30)
const defaultTimeout = Duration.millis(Bounds.limitOf("toolAnswer"))

/** Longest line of a server, in characters, and the part of its errors that is kept. */
const longestLine = 16 * 1024 * 1024
const keptErrors = 2000

/** Pages of a list of tools. */
const mostPages = 100

/** Commands end with their attempt, and by no timeout: the longest that a timer can wait, in milliseconds. */
const noTimeout = 2 ** 31 - 1

/** Exit codes of the shell that starts a command, for a program that is not there or cannot be run. */
const notFound: ReadonlySet<unknown> = new Set([126, 127])

/** The end of a server, as a sentence. */
const endOf = (exit: Exit.Exit<{ readonly exitCode: number | undefined }, { readonly message: string }>, said: string): string => {
  const why = Exit.isSuccess(exit)
    ? `ended${exit.value.exitCode === undefined ? "" : ` with exit code ${exit.value.exitCode}`}`
    : `was not started: ${Thrown.describe(Cause.squash(exit.cause)).message}`
  return said.trim() === "" ? why : `${why}. It said: ${said.trim()}`
}

interface Piped extends MCPTransport {
  /** What has become of the server; `undefined` while it runs. */
  readonly ending: () => { readonly problem: string; readonly isStarted: boolean } | undefined
}

/** A transport that starts a command under the isolation of a session. */
const pipe = (server: CommandServer, session: ToolSession.ToolSession): Piped => {
  let running: RunningCommand | undefined
  let fiber: Fiber.RuntimeFiber<unknown, unknown> | undefined
  let ending: { readonly problem: string; readonly isStarted: boolean } | undefined
  let errors = ""
  let rest = ""
  const decoder = new TextDecoder()
  const receive = (chunk: Uint8Array): void => {
    rest += decoder.decode(chunk, { stream: true })
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      const line = rest.slice(0, end).trim()
      rest = rest.slice(end + 1)
      // Servers print what is no message, too.
      if (!line.startsWith("{")) continue
      try {
        transport.onmessage?.(JSON.parse(line))
      } catch (thrown) {
        transport.onerror?.(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
    }
    if (rest.length > longestLine) transport.onerror?.(new Error(`a line of more than ${longestLine} characters`))
  }
  const transport: Piped = {
    ending: () => ending,
    start: () =>
      new Promise((resolve, reject) => {
        const policy = policyOf(session)
        const run = runnerOf(session, server.name).run([server.command, ...(server.args ?? [])], {
          policy: { ...policy, env: { ...policy.env, ...server.env } },
          ...{ timeout: Duration.millis(noTimeout), outputBytes: Number.POSITIVE_INFINITY, keptBytes: keptErrors },
          onStarted: (command) => {
            running = command
            resolve()
          },
          onOutput: (stream, chunk) => {
            if (stream === "stdout") receive(chunk)
            else errors = (errors + new TextDecoder().decode(chunk)).slice(-keptErrors)
          },
        })
        fiber = Effect.runFork(run)
        fiber.addObserver((exit) => {
          ending = {
            problem: endOf(exit as Parameters<typeof endOf>[0], errors),
            isStarted: Exit.isSuccess(exit) && !notFound.has(Thrown.get(exit.value, "exitCode")),
          }
          reject(new Error(ending.problem))
          transport.onclose?.()
        })
      }),
    send: async (message) => {
      if (ending !== undefined) throw new Error(ending.problem)
      running?.write(`${JSON.stringify(message)}\n`)
    },
    close: async () => {
      running?.endInput()
      if (fiber !== undefined) await Effect.runPromise(Fiber.interrupt(fiber))
    },
  }
  return transport
}

const loadClient = async (): Promise<typeof Mcp> => {
  try {
    return await import("@ai-sdk/mcp")
  } catch (cause) {
    throw new McpServerFailed({
      server: "",
      problem: `needs the package "@ai-sdk/mcp", which cannot be loaded (${Thrown.describe(cause).message}). Install it: bun add @ai-sdk/mcp`,
      isRetryable: false,
    })
  }
}

/** Starts a server. Rejects with `McpServerFailed`; nothing of it is left then. */
const connect = async (server: McpServer, session: ToolSession.ToolSession): Promise<Connection> => {
  const { createMCPClient } = await loadClient()
  const transport = server.url === undefined ? pipe(server, session) : undefined
  const limit = Duration.toMillis(server.startTimeout ?? defaultStart)
  let client: MCPClient | undefined
  const open = async (): Promise<Connection> => {
    const { url = "", headers = {} } = server.url === undefined ? {} : server
    client = await createMCPClient({
      transport: transport ?? { type: "http", url, headers: { ...headers } },
      initializationOptions: { timeout: limit },
      clientName: "smithers",
      onUncaughtError: () => {},
    })
    const definitions: Array<Definition> = []
    let cursor: string | undefined
    for (let page = 0; page < mostPages; page++) {
      const listed = await client.listTools({
        ...(cursor === undefined ? {} : { params: { cursor } }),
        options: { timeout: limit },
      })
      definitions.push(...listed.tools)
      cursor = listed.nextCursor
      if (cursor === undefined) break
    }
    return { client, definitions: chosen(server, definitions) }
  }
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`did not start in ${Duration.format(Duration.millis(limit))}`)), limit)
  })
  try {
    return await Promise.race([open(), late])
  } catch (thrown) {
    const ending = transport?.ending()
    await client?.close().catch(() => {})
    await transport?.close().catch(() => {})
    if (thrown instanceof McpServerFailed) throw thrown
    const problem = ending?.problem ?? `did not start: ${Thrown.describe(thrown).message}`
    throw new McpServerFailed({ server: server.name, problem, isRetryable: ending?.isStarted !== false && !isRefusal(thrown) })
  } finally {
    clearTimeout(timer)
  }
}

/** Statuses by which a server refuses a client for good: its request, its key, its address. */
const refusals: ReadonlySet<unknown> = new Set([400, 401, 403, 404, 405, 410])

const isRefusal = (thrown: unknown): boolean => refusals.has(Thrown.get(thrown, "statusCode"))

/** The tools that the agent is to have. */
const chosen = ({ name, tools }: McpServer, definitions: ReadonlyArray<Definition>): ReadonlyArray<Definition> => {
  const unknown = tools?.find((tool) => !definitions.some((one) => one.name === tool))
  if (unknown !== undefined) {
    const problem = `has no tool "${unknown}". It has: ${definitions.map((one) => one.name).join(", ") || "none"}`
    throw new McpServerFailed({ server: name, problem, isRetryable: false })
  }
  return tools === undefined ? definitions : definitions.filter((one) => tools.includes(one.name))
}

/** A name that providers take for a tool. */
const asToolName = (name: string): string => name.replaceAll(/[^A-Za-z0-9_-]/g, "_").slice(0, 64)

/** The content of a result as text, for a model. */
const textOf = (result: unknown): string => {
  const content = Thrown.get(result, "content")
  const parts = (Array.isArray(content) ? content : []).map((part: unknown) => {
    const [type, text, data, uri] = ["type", "text", "data", "uri"].map((field) => Thrown.get(part, field))
    if (typeof text === "string") return text
    if (typeof data === "string") return `[${String(type)}: ${Math.floor((data.length * 3) / 4)} bytes that are no text]`
    const resource = Thrown.get(part, "resource")
    const inner = Thrown.get(resource, "text")
    if (typeof inner === "string") return inner
    return `[${String(type)}: ${String(uri ?? Thrown.get(resource, "uri") ?? "")}]`
  })
  const structured = Thrown.get(result, "structuredContent") ?? Thrown.get(result, "toolResult")
  return parts.length > 0 ? parts.join("\n") : structured === undefined ? "" : JSON.stringify(structured)
}

const toolOf = (ai: Sdk, server: McpServer, { client }: Connection, definition: Definition): ToolSet[string] => {
  const { name, description = "", inputSchema, annotations } = definition
  const timeout = Duration.toMillis(server.timeout ?? defaultTimeout)
  const rules = ToolRules.make<unknown, unknown>(
    {
      // The isolation of a command holds it to the rights of the step. What a server says of itself only decides about a repeated call.
      isConfined: server.url === undefined,
      afterCrash: annotations?.readOnlyHint === true || annotations?.idempotentHint === true ? "rerun" : "unknown",
      maxResultBytes: server.maxResultBytes,
    },
    Effect.succeed,
  )
  const made = ai.dynamicTool({
    description,
    inputSchema: ai.jsonSchema({ ...inputSchema, type: "object", properties: inputSchema.properties ?? {} }),
    execute: async (input, { abortSignal, toolCallId }) => {
      const args = typeof input === "object" && input !== null ? { ...input } : {}
      const options = { timeout, ...(abortSignal === undefined ? {} : { signal: abortSignal }) }
      const result = await client.callTool({ name, arguments: args, options })
      const text = Results.bounded(textOf(result), toolCallId, "head", server.maxResultBytes)
      if (Thrown.get(result, "isError") === true) throw new Error(text)
      return text
    },
  })
  return Object.assign(made, { [ToolRules.key]: rules })
}

/**
 * The tools of an agent, with those of its servers, which are started where they do not run in this session yet. A tool is named as
 * its server calls it; where the agent or another server has the same name, `<server>_<tool>`.
 */
export const withTools = async (
  ai: Sdk,
  servers: ReadonlyArray<McpServer>,
  tools: ToolSet,
  session: ToolSession.ToolSession | undefined,
): Promise<ToolSet> => {
  if (session === undefined) throw new Error("An agent with MCP servers works in steps of a workflow, which start and stop them.")
  const connections = await Promise.all(
    servers.map(async (server) => {
      const connection = await session.acquire(server, async () => {
        const opened = await connect(server, session)
        return { value: opened, close: () => opened.client.close() }
      })
      return connection.definitions.map((definition) => ({
        plain: asToolName(definition.name),
        full: asToolName(`${server.name}_${definition.name}`),
        tool: toolOf(ai, server, connection, definition),
      }))
    }),
  )
  const all = connections.flat()
  const count = (name: string): number => all.filter(({ plain }) => plain === name).length + (name in tools ? 1 : 0)
  const named = all.map(({ plain, full, tool }) => [count(plain) === 1 ? plain : full, tool] as const)
  const names = [...Object.keys(tools), ...named.map(([name]) => name)]
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) return invalid("mcp", twice, "no name of two tools: give the servers different names")
  return { ...tools, ...Object.fromEntries(named) }
}
