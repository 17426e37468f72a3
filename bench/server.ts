/**
 * Measures the server, as a process of its own: `bun bench/server.ts streams <seconds>` and `bun bench/server.ts listening <times>`. Prints
 * one line of JSON. The run whose events are followed is worked on by a third process.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const [what, countText = "", filename = ""] = process.argv.slice(2)
const count = Number(countText)
const bin = join(import.meta.dir, "..", "packages", "smithers", "src", "bin.ts")
const command = [process.execPath, "--no-install", "--no-env-file", "--config=/dev/null", bin]

/** A run with about fifty events per second: three for each pass. */
const ticking = Smithers.createWorkflow({ name: "ticking", input: Schema.Struct({ passes: Schema.Number }) }).build(($) =>
  $.loop({
    id: "ticks",
    body: $.step("tick", { output: Schema.Number, run: ({ iteration }) => Effect.as(Effect.sleep("56 millis"), iteration) }),
    until: ({ input, output }) => (output ?? 0) + 1 >= input.passes,
    maxIterations: 100_000,
  }),
)

const listen = async (folder: string, ...args: ReadonlyArray<string>) => {
  const began = performance.now()
  const child = Bun.spawn([...command, ...args], { cwd: folder, stdout: "pipe", stderr: "inherit" })
  const { value } = await child.stdout.getReader().read()
  return { child, said: new TextDecoder().decode(value), ms: performance.now() - began }
}

const percentile = (sorted: ReadonlyArray<number>, part: number): number => sorted[Math.floor(sorted.length * part)] ?? 0
const median = (values: ReadonlyArray<number>): number =>
  percentile(
    [...values].sort((one, other) => one - other),
    0.5,
  )

/** 200 clients follow one run; half of them are cut off every one to two seconds, and go on behind the last event that they have. */
const streams = async (folder: string) => {
  const { child, said } = await listen(folder, "serve", "--port", "0", "--json")
  const { url, tokenFile } = JSON.parse(said.split("\n")[0] ?? "") as { readonly url: string; readonly tokenFile: string }
  const token = readFileSync(tokenFile, "utf8").trim()
  const writer = Bun.spawn([process.execPath, import.meta.path, "writer", String(count * 17), join(folder, "smithers.db")], {
    stdout: "inherit",
    stderr: "inherit",
  })
  const latencies: Array<number> = []
  let [gaps, messages, connections] = [0, 0, 0]
  const isEnded = { value: false }
  const follow = async (index: number) => {
    let last = 0
    while (!isEnded.value) {
      const cut = new AbortController()
      const timer = index % 2 === 0 ? undefined : setTimeout(() => cut.abort(), 1000 + index * 5)
      const connectedAt = Date.now()
      connections++
      const headers = { authorization: `Bearer ${token}`, ...(last === 0 ? {} : { "last-event-id": String(last) }) }
      try {
        const response = await fetch(`${url}/api/v1/events?runs=t`, { headers, signal: cut.signal })
        const decoder = new TextDecoder()
        let held = ""
        for await (const bytes of response.body ?? []) {
          const now = Date.now()
          const blocks = (held + decoder.decode(bytes, { stream: true })).split("\n\n")
          held = blocks.pop() ?? ""
          // No more of them is read than is measured: 200 clients in one process are slower than the server.
          for (const block of blocks) {
            const [, id] = /^id: (\d+)$/m.exec(block) ?? []
            if (id === undefined) continue
            messages++
            if (Number(id) !== last + 1) gaps++
            last = Number(id)
            const at = Number(/"at":(\d+)/.exec(block)?.[1])
            // What happened before is caught up with.
            if (at > connectedAt + 50) latencies.push(now - at)
            if (block.includes("RunFinished")) isEnded.value = true
          }
          if (isEnded.value) break
        }
      } catch {
        // It was cut off.
      }
      clearTimeout(timer)
    }
    return last
  }
  const lasts = await Promise.all(Array.from({ length: 200 }, (_, index) => follow(index)))
  await writer.exited
  child.kill("SIGTERM")
  await child.exited
  latencies.sort((one, other) => one - other)
  const events = Math.max(...lasts)
  return {
    ...{ messages, connections, gaps, events, perSecond: Math.round(events / count) },
    ...{ p50: percentile(latencies, 0.5), p99: percentile(latencies, 0.99), most: latencies.at(-1) },
    // Bun counts in microseconds.
    cpuMs: Math.round(Number(child.resourceUsage()?.cpuTime.total ?? 0) / 1000),
  }
}

/** Time from the start of a process until it listens, and that of a command that only reads a little. */
const listening = async (folder: string) => {
  const measured: Array<number> = []
  const others: Array<number> = []
  for (let index = 0; index < count; index++) {
    const { child, ms } = await listen(folder, "serve", "--port", "0")
    measured.push(ms)
    child.kill("SIGTERM")
    await child.exited
    const other = await listen(folder, "ps", "--json")
    await other.child.exited
    others.push(other.ms)
  }
  return { serve: median(measured), ps: median(others) }
}

if (what === "writer") {
  const program = ticking.execute({ passes: count }, { runId: "t" })
  await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename })))
} else {
  const folder = mkdtempSync(join(tmpdir(), "smithers-bench-server-"))
  writeFileSync(join(folder, "package.json"), "{}")
  console.log(JSON.stringify(what === "streams" ? await streams(folder) : await listening(folder)))
  rmSync(folder, { recursive: true, force: true })
}
