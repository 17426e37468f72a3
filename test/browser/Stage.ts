/**
 * A folder with workflows and a database, the server of it as a process, and the page in Debian's Chromium. Runs are those of real
 * processes.
 */
import { copyFileSync, existsSync, mkdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { build } from "@smithers/ui/Build"
import { type BrowserContext, type BrowserContextOptions, chromium, type Page } from "playwright-core"
import * as Fixture from "../cli/Fixture.ts"
import * as Served from "../server/Served.ts"

const root = join(import.meta.dirname, "..", "..")

/** Where the program looks for the page that it serves. */
const dist = join(root, "packages", "ui", "dist")

const program = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find((path) => existsSync(path))

/** The reason why the page cannot be opened here; `undefined` where it can. */
export const missing = program === undefined ? "Chromium is not installed: apt-get install chromium" : undefined

/** Workflow file of {@link open}'s folders. */
const file = "workflows/release.ts"

export interface Stage {
  readonly folder: Fixture.Folder
  readonly server: () => Served.Served
  /** Starts the server again, on the same port. */
  readonly again: () => Promise<void>
  /** Opens the page in a browser of its own, at a path. What its console says wrong is kept in `problems`. */
  readonly page: (path?: string, options?: BrowserContextOptions) => Promise<Page>
  /** Opens one more tab of a page. */
  readonly tab: (context: BrowserContext, path?: string) => Promise<Page>
  readonly problems: ReadonlyArray<string>
  /** Starts a run, by the name of an export of the release's file, or of a workflow of the project by its name before a colon. */
  readonly start: (runId: string, name: string | undefined, input?: unknown, tags?: ReadonlyArray<string>) => Promise<void>
  readonly becomes: (runId: string, status: string) => Promise<void>
  readonly close: () => Promise<void>
}

/** Opens a stage. Options are those of `smithers serve`. */
export const open = async (...options: ReadonlyArray<string>): Promise<Stage> => {
  if (program === undefined) throw new Error(missing)
  await build(dist)
  const folder = Fixture.folder()
  mkdirSync(folder.file("workflows"))
  for (const name of ["release.ts", "reads.tsx"])
    copyFileSync(join(import.meta.dirname, "fixtures", name), folder.file(`workflows/${name}`))
  let server = await Served.serve(folder, ...options)
  const browser = await chromium.launch({ executablePath: program, args: ["--no-sandbox", "--disable-gpu"] })
  const problems: Array<string> = []
  const tab: Stage["tab"] = async (context, path = "/runs") => {
    const page = await context.newPage()
    page.setDefaultTimeout(20_000)
    page.on("pageerror", (error) => problems.push(`${error.name}: ${error.message}`))
    page.on("console", (message) => {
      // Requests that fail are told by the browser too; the page shows those.
      if (message.type() === "error" && !message.text().startsWith("Failed to load resource")) problems.push(message.text())
    })
    await page.goto(`${server.url}${path}#t=${server.token}`)
    return page
  }
  const statusOf = async (runId: string): Promise<string | undefined> => (await server.ask(`runs/${runId}`)).body?.run?.status
  return {
    folder,
    problems,
    tab,
    server: () => server,
    again: async () => {
      const { port } = new URL(server.url)
      server = await Served.serve(folder, ...options, "--port", port)
    },
    page: async (path, options = {}) => {
      const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, locale: "en-GB", ...options })
      return tab(context, path)
    },
    start: async (runId, name, input = {}, tags = []) => {
      const workflow = name === undefined ? "release" : `${file}#${name}`
      const { status, text } = await server.ask("runs", { workflow, input, runId, tags })
      if (status !== 200) throw new Error(`run ${runId} did not start: ${text}`)
    },
    becomes: (runId, status) => {
      let last: string | undefined
      return Fixture.until(
        async () => {
          last = await statusOf(runId)
          return last === status
        },
        () => `run ${runId} is ${status}; it is ${last}`,
      )
    },
    close: async () => {
      await browser.close()
      await server.stop()
      folder.remove()
    },
  }
}

/** Bytes of the scripts that the page loads before it draws, compressed. */
export const initialBytes = (): number => {
  const html = readFileSync(join(dist, "index.html"), "utf8")
  const names = [...html.matchAll(/(?:src|href)="\/([\w.-]+\.js)"/g)].map(([, name = ""]) => name)
  return names.reduce((sum, name) => sum + Bun.gzipSync(readFileSync(join(dist, name)), { level: 9 }).length, 0)
}
