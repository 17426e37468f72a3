/**
 * Measures how long an editor waits in a large workflow: hovers and completions in a file of 60 tasks and 40 schemas, answered by the compiler's
 * language server. Alone: `bun bench/editor.ts`.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

const root = join(import.meta.dirname, "..")

const schemaCount = 40
const taskCount = 60

const key = (index: number): string => `result${index % schemaCount}`

/** A task of one kind or another, with a function that reads what an earlier one gave. */
const task = (index: number): string => {
  const output = `output={outputs.${key(index)}}`
  const id = `id="task-${index}"`
  const before = `ctx.output("${key(index + schemaCount - 1)}", { nodeId: "task-${index - 1}" })`
  switch (index % 4) {
    case 0:
      return `<Task ${id} ${output} agent={agent} retries={2} timeout="2m">
          Summarize {ctx.input.repo}, round ${index}.
        </Task>`
    case 1:
      return `<Task ${id} ${output} deps={{ before: outputs.${key(index - 1)} }} needs={{ before: "task-${index - 1}" }}>
          {({ before }) => ({ title: before.title, level: "low", items: before.items.map(({ name }) => ({ name, count: ${index} })) })}
        </Task>`
    case 2:
      return `<Task ${id} ${output} continueOnFail>
          {(ctx) => ({ title: ${before}.title, level: "high", items: [] })}
        </Task>`
    default:
      return `<Task ${id} ${output} skipIf={(ctx) => ctx.latest("${key(index - 1)}")?.level === "low"}>
          {async (ctx) => {
            const { items } = ${before}
            return { title: ctx.input.repo, level: "low", items }
          }}
        </Task>`
  }
}

/** A workflow as large as one file bears. */
const source = (): string => {
  const schemas = Array.from(
    { length: schemaCount },
    (_, index) =>
      `  ${key(index)}: z.object({ title: z.string(), level: z.enum(["low", "high"]), items: z.array(z.object({ name: z.string(), count: z.number() })), extra${index}: z.string().optional() }),`,
  )
  const tasks = Array.from({ length: taskCount }, (_, index) => task(index))
  return `import { type Agent, createSmithers } from "smithers-orchestrator"
import { z } from "zod"

const { Workflow, Task, smithers, outputs } = createSmithers({
  input: z.object({ repo: z.string(), rounds: z.number().default(1) }),
${schemas.join("\n")}
})
declare const agent: Agent

export default smithers((ctx) => (
  <Workflow name="large">
    ${tasks.join("\n    ")}
  </Workflow>
))
`
}

/** A language server on the files of a folder. */
const serve = async (folder: string) => {
  const compiler = join(root, "node_modules", "typescript-7", "lib", "getExePath.js")
  const { default: executable } = (await import(compiler)) as { readonly default: () => string }
  const server = Bun.spawn([executable(), "--lsp", "--stdio"], { cwd: folder, stdin: "pipe", stdout: "pipe", stderr: "ignore" })
  const waiting = new Map<number, (answer: unknown) => void>()
  const write = (message: object): void => {
    const body = JSON.stringify({ jsonrpc: "2.0", ...message })
    server.stdin.write(`Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
    server.stdin.flush()
  }
  const reading = (async () => {
    let received = Buffer.alloc(0)
    for await (const chunk of server.stdout) {
      received = Buffer.concat([received, chunk])
      for (;;) {
        const end = received.indexOf("\r\n\r\n")
        const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, Math.max(end, 0)).toString())?.[1])
        if (end < 0 || received.length < end + 4 + length) break
        const message = JSON.parse(received.subarray(end + 4, end + 4 + length).toString()) as {
          readonly id?: number
          readonly method?: string
          readonly result?: unknown
          readonly error?: unknown
        }
        received = received.subarray(end + 4 + length)
        if (message.method !== undefined) {
          // The server asks for the settings of the editor; there are none.
          if (message.id !== undefined)
            write({ id: message.id, result: message.method === "workspace/configuration" ? [null] : null })
        } else waiting.get(message.id as number)?.(message.error === undefined ? message.result : Promise.reject(message.error))
      }
    }
  })()
  let last = 0
  const ask = (method: string, params?: object): Promise<unknown> =>
    new Promise((resolve) => {
      waiting.set(++last, resolve)
      write({ id: last, method, params })
    })
  const tell = (method: string, params?: object): void => write({ method, params })
  const stop = async (): Promise<void> => {
    await ask("shutdown")
    tell("exit")
    await server.exited
    await reading
  }
  return { ask, tell, stop }
}

/** An answer to an editor: what was asked for, the time until it came, and what it can show. */
export interface Answered {
  readonly what: "hover over a component" | "hover over a value" | "names of props" | "names of outputs" | "keys in ctx.output"
  readonly ms: number
  /** Names that are offered, or the text that is shown. */
  readonly shown: ReadonlyArray<string>
}

export interface Measured {
  /** From opening the file until its errors are known. */
  readonly openMs: number
  readonly errors: ReadonlyArray<string>
  readonly answered: ReadonlyArray<Answered>
}

type Answer = {
  readonly contents?: { readonly value: string }
  readonly items?: ReadonlyArray<{ readonly label: string }>
} | null

/** Opens the file, and then hovers and completes at tasks all over it. Before each the file is edited, so that nothing is known from before. */
export const measureEditor = async (): Promise<Measured> => {
  // Inside the project, so that its packages are found.
  mkdirSync(join(root, "node_modules", ".cache"), { recursive: true })
  const folder = mkdtempSync(join(root, "node_modules", ".cache", "editor-"))
  const original = source()
  const uri = pathToFileURL(join(folder, "large.tsx")).href
  const textDocument = { uri }
  writeFileSync(join(folder, "large.tsx"), original)
  const config = { extends: join(root, "tsconfig.json"), include: ["*.tsx"], exclude: [] }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify(config))
  const { ask, tell, stop } = await serve(folder)
  try {
    await ask("initialize", {
      processId: process.pid,
      rootUri: pathToFileURL(folder).href,
      capabilities: { textDocument: { hover: { contentFormat: ["plaintext"] }, completion: {} } },
    })
    tell("initialized", {})
    const begun = performance.now()
    tell("textDocument/didOpen", { textDocument: { uri, languageId: "typescriptreact", version: 1, text: original } })
    const found = (await ask("textDocument/diagnostic", { textDocument })) as {
      readonly items: ReadonlyArray<{ readonly message: string }>
    }
    const openMs = performance.now() - begun

    const answered: Array<Answered> = []
    let version = 1
    /** Writes something at an offset of the file, and asks at a place within it. */
    const at = async (what: Answered["what"], offset: number, written: string, place: number): Promise<void> => {
      const text = `${original.slice(0, offset)}${written}${original.slice(offset)}`
      const before = text.slice(0, offset + place).split("\n")
      const position = { line: before.length - 1, character: before.at(-1)?.length ?? 0 }
      tell("textDocument/didChange", { textDocument: { uri, version: ++version }, contentChanges: [{ text }] })
      const started = performance.now()
      const answer = (await ask(`textDocument/${what.startsWith("hover") ? "hover" : "completion"}`, {
        textDocument,
        position,
      })) as Answer
      const ms = performance.now() - started
      answered.push({
        what,
        ms,
        shown: answer?.items?.map(({ label }) => label.replace(/\?$/, "")) ?? [answer?.contents?.value ?? ""],
      })
    }
    for (let index = 1; index < taskCount; index += 9) {
      const start = original.indexOf(`<Task id="task-${index}"`)
      const output = original.indexOf(" output=", start)
      await at("hover over a component", start, " ", 3)
      await at("hover over a value", output, " ", " output={outputs.re".length + 1)
      await at("names of props", output, " re", 3)
      await at("names of outputs", output, " ", " output={outputs.".length + 1)
      const read = `<Task id="new" output={outputs.${key(3)}}>{(ctx) => ctx.output("")}</Task>`
      await at("keys in ctx.output", start, read, read.indexOf('"")') + 1)
    }
    return { openMs, errors: found.items.map(({ message }) => message), answered }
  } finally {
    await stop()
    rmSync(folder, { recursive: true, force: true })
  }
}

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((left, right) => left - right)[values.length >> 1] as number

/** The median of each kind of answer. */
export const editorFigures = ({ answered }: Measured) =>
  [...new Set(answered.map(({ what }) => what))].map((what) => ({
    goal: `editor, 60 tasks and 40 schemas in a file: ${what} under 300 ms`,
    ms: median(answered.flatMap((one) => (one.what === what ? [one.ms] : []))),
    limitMs: 300,
  }))

if (import.meta.main) {
  const measured = await measureEditor()
  console.log(`opened after ${measured.openMs.toFixed(0)} ms`)
  for (const { goal, ms } of editorFigures(measured)) console.log(`${goal}: ${ms.toFixed(0)} ms`)
}
