/**
 * Serves the operations as tools of models over standard input and output: `mcp`.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { Writable } from "node:stream"
import type { Page } from "@smithers/server/mcp/Pages"
import { quoted } from "@smithers/server/views/Text"
import { realPath } from "@smithers/sqlite/Location"
import * as Effect from "effect/Effect"
import { filename, named, nearest, open } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage, NoDatabase } from "../Errors.ts"
import { Host } from "../Host.ts"
import { rootOf } from "../Project.ts"
import { redirectConsole } from "../Screen.ts"
import { filesOf, processesOf } from "../WorkflowProcesses.ts"
import { workspacesShape } from "../Workspaces.ts"

interface McpOptions {
  readonly db: string | undefined
  readonly add: string | undefined
  readonly client: string | undefined
  readonly root: string | undefined
  readonly readOnly: boolean
  readonly allowApprove: boolean
  readonly forRun: string | undefined
}

/** Lists the pages of the documentation that came with this program. */
export const pages = (): ReadonlyArray<Page> => {
  const here = dirname(Bun.main)
  const folder = [join(here, "..", "docs"), join(here, "..", "..", "..", "docs")].find((one) =>
    existsSync(join(one, "quickstart.md")),
  )
  if (folder === undefined) return []
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"))
  return names.sort().map((name) => {
    const text = readFileSync(join(folder, name), "utf8")
    const title = /^# (.+)$/m.exec(text)?.[1] ?? name
    return { name: name.slice(0, -".md".length).replaceAll("\\", "/"), title, text }
  })
}

/** Reserves standard output for the protocol: whatever else is printed goes to standard error. */
const reserved = (): Writable => {
  const write = process.stdout.write.bind(process.stdout)
  process.stdout.write = process.stderr.write.bind(process.stderr)
  redirectConsole((text) => process.stderr.write(`${text}\n`))
  return new Writable({
    decodeStrings: false,
    write: (chunk: string | Uint8Array, _, done) => void write(chunk, (error) => done(error)),
  })
}

const serving = ({ db, root: folder, readOnly, allowApprove, forRun }: McpOptions) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { self } = yield* Host
      const root = realPath(rootOf(folder ?? "."))
      const file = (yield* named(db)) ?? (yield* nearest(root)) ?? realPath(join(root, filename))
      if (readOnly && !existsSync(file)) return yield* new NoDatabase({ path: file, isNamed: true })
      const storage = yield* open(file, readOnly ? "read" : "create")
      const place = { self, file, root }
      const out = reserved()
      const [{ make }, { StdioServerTransport }] = yield* Effect.promise(() =>
        Promise.all([import("@smithers/server/mcp/Server"), import("@smithers/server/mcp/Stdio")]),
      )
      const workspaces = yield* workspacesShape
      const server = yield* Effect.promise(() =>
        make({
          ...{ storage, workspaces, processes: processesOf(place), files: filesOf(place, storage), pages: pages(), allowApprove },
          caller: { scope: readOnly ? "read" : "admin", ...(forRun === undefined ? {} : { runId: forRun }) },
        }),
      )
      yield* Effect.async<void>((done) => {
        const end = () => done(Effect.void)
        process.stdin.once("end", end).once("close", end)
        server.onclose = end
        out.once("error", end)
        void server.connect(new StdioServerTransport(process.stdin, out))
      })
      yield* Effect.promise(() => server.close())
      return { value: undefined, text: "" } satisfies Reply
    }),
  )

interface Configuration {
  readonly client: string
  /** The place of the text: a file, relative to the project, or a shell. */
  readonly place: string
  readonly text: string
}

const configurations = (command: string, args: ReadonlyArray<string>): ReadonlyArray<Configuration> => {
  const started = { command, args }
  const json = (value: unknown) => JSON.stringify(value, null, 2)
  return [
    { client: "claude", place: "a shell", text: `claude mcp add smithers -- ${[command, ...args].map(quoted).join(" ")}` },
    {
      client: "codex",
      place: "~/.codex/config.toml",
      text: `[mcp_servers.smithers]\ncommand = ${JSON.stringify(command)}\nargs = ${JSON.stringify(args)}`,
    },
    { client: "cursor", place: ".cursor/mcp.json", text: json({ mcpServers: { smithers: started } }) },
    { client: "vscode", place: ".vscode/mcp.json", text: json({ servers: { smithers: { type: "stdio", ...started } } }) },
  ]
}

/** Prints what the settings of clients must say. Writes none of their files. */
const add = ({ db, client, root: folder, readOnly, allowApprove, forRun }: McpOptions) =>
  Effect.gen(function* () {
    const root = realPath(rootOf(folder ?? "."))
    const installed = join(root, "node_modules", ".bin", "smithers")
    const location = yield* named(db)
    const args = [
      ...["mcp", `--root=${root}`],
      ...(location === undefined ? [] : [`--db=${location}`]),
      ...(readOnly ? ["--read-only"] : []),
      ...(allowApprove ? ["--allow-approve"] : []),
      ...(forRun === undefined ? [] : [`--for-run=${forRun}`]),
    ]
    const all = configurations(existsSync(installed) ? installed : Bun.main, args)
    const found = client === undefined ? all : all.filter((one) => one.client === client)
    if (found.length === 0) {
      const names = all.map((one) => one.client).join(", ")
      return yield* new InvalidUsage({
        problem: `The client must be one of ${names}, not ${JSON.stringify(client)}`,
        command: "mcp",
      })
    }
    const text = found.map(({ client, place, text }) => `${client}, in ${place}:\n\n${text}`).join("\n\n")
    return { value: { clients: found }, text } satisfies Reply
  })

export const mcp = (options: McpOptions) =>
  Effect.gen(function* () {
    if (options.add === undefined) return yield* serving(options)
    if (options.add === "add") return yield* add(options)
    const problem = `"smithers mcp" is followed by add or nothing, not ${JSON.stringify(options.add)}`
    return yield* new InvalidUsage({ problem, command: "mcp" })
  })
