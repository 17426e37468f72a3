/**
 * Serves the control plane of a database: `serve` and `ui`.
 */
import { spawn } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import * as Secrets from "@smithers/core/Secrets"
import type { StorageShape } from "@smithers/core/Storage"
import * as App from "@smithers/server/http/App"
import * as Hooks from "@smithers/server/http/Hooks"
import { isLoopback, listen } from "@smithers/server/http/Listen"
import * as Static from "@smithers/server/http/Static"
import * as Tokens from "@smithers/server/http/Tokens"
import type { Handler } from "@smithers/server/mcp/Http"
import { realPath } from "@smithers/sqlite/Location"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { filename, named, nearest, open } from "../Database.ts"
import type { Reply } from "../Definition.ts"
import { InvalidUsage } from "../Errors.ts"
import { Host } from "../Host.ts"
import { rootOf } from "../Project.ts"
import { Screen } from "../Screen.ts"
import { userName } from "../User.ts"
import type { Place } from "../WorkflowProcesses.ts"
import { fileOf as hooksOf } from "./hook.ts"
import { fileOf, ownerFileOf } from "./token.ts"

interface ServeOptions {
  readonly db: string | undefined
  readonly port: number | undefined
  readonly host: string | undefined
  readonly tokenFile: string | undefined
  readonly allowHost: ReadonlyArray<string>
  readonly root: string | undefined
  readonly supervise: boolean
  readonly otel: boolean
}

/** Port of `serve` by default. */
const usualPort = 4280

/** Time that a request waits for a locked database. */
const patience = "10 seconds"

/** The page that came with this program, if it was built. */
const page = (): Static.Page => {
  const here = dirname(Bun.main)
  const folders = [join(here, "..", "page"), join(here, "..", "..", "ui", "dist")]
  const built = folders.find((folder) => existsSync(join(folder, "index.html")))
  return built === undefined ? Static.text : Static.folder(built)
}

/** Loads what the operations of a server work with, once. A server listens before. */
export const servicesOf = (place: Place, storage: StorageShape): App.AppOptions["services"] => {
  const load = async () => {
    const [{ filesOf, processesOf }, { examine }, { workspacesShape }] = await Promise.all([
      import("../WorkflowProcesses.ts"),
      import("./database.ts"),
      import("../Workspaces.ts"),
    ])
    const workspaces = await Effect.runPromise(workspacesShape)
    // Requests that come while a process reads share its answer: each would start a process of its own.
    const check = await Effect.runPromise(Effect.cachedWithTTL(Effect.uninterruptible(examine(place)), "2 seconds"))
    return { processes: processesOf(place), files: filesOf(place, storage), workspaces, check }
  }
  let loaded: ReturnType<typeof load> | undefined
  return () => {
    loaded ??= load()
    return loaded
  }
}

/** Serves tools of models. What they need is loaded with the first request. */
const mcpOf = (storage: StorageShape, services: App.AppOptions["services"]): Handler => {
  let loaded: Promise<Handler> | undefined
  const load = async (): Promise<Handler> => {
    const [{ make }, { pages }, { processes, files, workspaces }] = await Promise.all([
      import("@smithers/server/mcp/Http"),
      import("./mcp.ts"),
      services(),
    ])
    return make({ storage, processes, files, workspaces, pages: pages() })
  }
  return async (request, caller) => {
    loaded ??= load()
    return (await loaded)(request, caller)
  }
}

interface Listening {
  readonly url: string
  readonly token: string
  readonly tokenFile: string
}

/** Listens for requests about a database until the scope closes. */
export const listening = (
  place: Place,
  {
    port,
    host,
    tokenFile,
    allowHost,
    command,
  }: Pick<ServeOptions, "host" | "tokenFile" | "allowHost"> & {
    readonly port: number
    readonly command: string
  },
) =>
  Effect.gen(function* () {
    const address = host ?? "127.0.0.1"
    const invalid = (problem: string) => new InvalidUsage({ problem, command })
    if (port > 65_535) return yield* invalid("--port must be at most 65535")
    if (!isLoopback(address) && tokenFile === undefined)
      return yield* invalid(`--host ${address} lets other machines in, which needs a token that you chose: --token-file <file>`)
    const path = realPath(tokenFile ?? ownerFileOf(place.file))
    const token = yield* Tokens.ownerToken(path)
    const screen = yield* Screen
    const storage = yield* open(place.file, "create", patience)
    const tail = yield* open(place.file, "read", patience)
    const owner = { name: userName() ?? "owner", scope: "admin" as const, hash: Tokens.hashOf(token) }
    const services = servicesOf(place, storage)
    const app = yield* App.make({
      ...{ storage, services, tail, page: page(), mcp: mcpOf(storage, services) },
      tokens: Tokens.current(owner, fileOf(place.file)),
      hooks: Hooks.current(hooksOf(place.file)),
      report: (problem) => void Effect.runFork(screen.log(problem)),
      allowHosts: isLoopback(address) || address === "0.0.0.0" || address === "::" ? allowHost : [...allowHost, address],
    })
    const { url } = yield* listen(app, { host: address, port })
    return { url, token, tokenFile: path, storage }
  })

const serving = (options: ServeOptions, command: "serve" | "ui", then: (listening: Listening) => Effect.Effect<string>) => {
  const done = untilStopped(options, command, then)
  if (!options.otel) return done
  return Effect.flatMap(
    Effect.promise(() => import("../Telemetry.ts")),
    ({ within }) => within(command, done),
  )
}

const untilStopped = (options: ServeOptions, command: "serve" | "ui", then: (listening: Listening) => Effect.Effect<string>) =>
  Effect.scoped(
    Effect.gen(function* () {
      const { self } = yield* Host
      const screen = yield* Screen
      const root = realPath(rootOf(options.root ?? "."))
      const file = (yield* named(options.db)) ?? (yield* nearest(root)) ?? realPath(join(root, filename))
      const place = { self, file, root, options: options.otel ? ["--otel"] : [] }
      const port = options.port ?? (command === "ui" ? 0 : usualPort)
      const found = yield* listening(place, { ...options, port, command })
      const text = yield* then(found)
      const at = yield* Clock.currentTimeMillis
      const { url, tokenFile } = found
      yield* screen.print({ action: "listening", at, url, tokenFile, db: file, root, pid: process.pid }, text)
      // From here on it is in no log, whatever a reply or an error says.
      Secrets.add("SMITHERS_TOKEN", found.token)
      if (options.supervise) {
        const { supervising } = yield* Effect.promise(() => import("./supervise.ts"))
        yield* supervising({ storage: found.storage, file, self, db: options.db, options: place.options })
      }
      yield* Effect.never
      return { value: undefined, text: "" } satisfies Reply
    }),
  )

export const serve = (options: ServeOptions) =>
  serving(options, "serve", ({ url, tokenFile }) => Effect.succeed(`Listening on ${url}. The token is in ${tokenFile}.`))

/** Program that opens a file for the user. */
const opener = process.platform === "darwin" ? "open" : "xdg-open"

/** Opens an address in a browser, by a file that nobody else can read: the arguments of a process are there for everybody. */
const openPage = (address: string): void => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-ui-"))
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, "open.html")
  writeFileSync(path, `<!doctype html><meta http-equiv="refresh" content="0;url=${address}">\n`, { mode: 0o600 })
  const child = spawn(opener, [path], { stdio: "ignore", detached: true })
  // The address was printed, too.
  child.on("error", () => {})
  child.unref()
}

export const ui = ({ noOpen, ...options }: ServeOptions & { readonly noOpen: boolean }) =>
  serving(options, "ui", ({ url, token }) =>
    Effect.sync(() => {
      const address = `${url}/#t=${token}`
      if (!noOpen) openPage(address)
      return `The page is at ${address}`
    }),
  )
