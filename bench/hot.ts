/**
 * Measures hot reload: the time from a save to the first task of the new code, and what 500 reloads leave in memory. Alone: `bun bench/hot.ts`, or
 * with a number of reloads: `bun bench/hot.ts 100`.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { runWorkflow } from "smithers-orchestrator"

const reloads = Number(process.argv[2] ?? 500)

/** Reloads that are not measured: the first bundle loads the bundler. */
const warm = 10

// Inside the project, so that its packages are found.
const folder = mkdtempSync(join(import.meta.dirname, "hot-"))
const file = join(folder, "workflow.tsx")

/** Messages of the tasks to this program. */
const bench: { begun: (version: number) => void; hold: Promise<void> } = { begun: () => {}, hold: Promise.resolve() }
Object.assign(globalThis, { bench })

/** A workflow of 20 kB, in which a task begins as soon as its version is at work. */
const source = (version: number): string => `import { createSmithers } from "smithers-orchestrator"
import { z } from "zod"
const texts = ${JSON.stringify(Array.from({ length: 40 }, (_, index) => `${index} of ${version}: ${"word ".repeat(90)}`))}
const { Workflow, Task, Parallel, smithers, outputs } = createSmithers({ note: z.object({ length: z.number() }) })
export default smithers(() => (
  <Workflow name="bench">
    <Parallel>
      <Task id="hold" output={outputs.note}>{async () => { await bench.hold; return { length: 0 } }}</Task>
      <Task id="version-${version}" output={outputs.note}>{() => { bench.begun(${version}); return { length: texts.length } }}</Task>
    </Parallel>
  </Workflow>
))
`

const megabytes = (): number => {
  Bun.gc(true)
  return process.memoryUsage.rss() / 1024 / 1024
}

const print = console.log
console.log = () => {}
try {
  const held = Promise.withResolvers<void>()
  bench.hold = held.promise
  const begins = (version: number): Promise<number> =>
    new Promise((resolve) => {
      bench.begun = (begun) => (begun === version ? resolve(performance.now()) : undefined)
    })
  writeFileSync(file, source(0))
  const first = begins(0)
  const { default: workflow } = await import(file)
  const run = runWorkflow(workflow, { input: {}, source: file, hot: true, db: join(folder, "smithers.db") })
  await first
  const times: Array<number> = []
  let before = 0
  for (let version = 1; version <= warm + reloads; version++) {
    if (version === warm + 1) before = megabytes()
    const begun = begins(version)
    const saved = performance.now()
    writeFileSync(file, source(version))
    const at = await begun
    if (version > warm) times.push(at - saved)
  }
  const grownMb = Math.round(megabytes() - before)
  held.resolve()
  await run
  times.sort((left, right) => left - right)
  const at = (part: number): number => Math.round(times[Math.floor(times.length * part)] ?? 0)
  print(JSON.stringify({ reloads, p50Ms: at(0.5), p95Ms: at(0.95), grownMb }))
} finally {
  rmSync(folder, { recursive: true, force: true })
}
