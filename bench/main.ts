/**
 * Measures the runtime and writes `bench/RESULTS.md` and `bench/results.json`. Every workload runs in a process of its own, on a
 * database of its own; figures of one row come from one run of this program, since only their ratios carry over to another
 * machine. `bun run bench` for everything, `bun run bench quick` for the small sizes, which are not written, and
 * `bun run bench agents sql long lists page` for those parts alone, whose rows replace the ones of before. `bun run bench --check` measures fresh
 * processes alone, writes nothing, and ends with 1 if a ratio is far beyond what it was: a guard, not a measurement.
 */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { cpus, tmpdir } from "node:os"
import { join } from "node:path"
import { cliFigures } from "./cli.ts"
import { editorFigures, measureEditor } from "./editor.ts"
import { freshFigures } from "./freshFigures.ts"

const isQuick = process.argv.includes("quick")
const repeats = isQuick ? 1 : 5
/** Sections that can be measured alone. */
const sections = ["agents", "sql", "redaction", "long", "lists", "lookback", "snapshots", "server", "fresh", "page"] as const
const chosen = sections.filter((section) => process.argv.includes(section))
const isMeasured = (section?: (typeof sections)[number]): boolean =>
  chosen.length === 0 || (section !== undefined && chosen.includes(section))
const folder = mkdtempSync(join(tmpdir(), "smithers-bench-"))
const here = (name: string) => join(import.meta.dir, name)

interface Measured {
  readonly ms: number
  readonly firstMs?: number
  readonly peakBytes?: number
  readonly rounds?: number
  readonly renders?: number
  readonly secondQuarterMs?: number
  readonly lastQuarterMs?: number
  readonly bytes: number
}

let fileCount = 0
const newFile = () => join(folder, `${++fileCount}.db`)
const sizeOf = (file: string) =>
  readdirSync(folder)
    .filter((name) => join(folder, name).startsWith(file))
    .reduce((sum, name) => sum + statSync(join(folder, name)).size, 0)
const median = (values: ReadonlyArray<number>) => [...values].sort((left, right) => left - right)[values.length >> 1] as number

const run = (script: string, ...args: Array<string>): string => {
  const child = Bun.spawnSync([process.execPath, here(script), ...args], { stderr: "inherit" })
  if (child.exitCode !== 0) throw new Error(`${script} ${args.join(" ")} ended with ${child.exitCode}`)
  return child.stdout.toString()
}

/** The last line that a script prints. On a slow machine the engine logs warnings before it. */
const lastLineOf = (script: string, ...args: Array<string>): string =>
  run(script, ...args)
    .trimEnd()
    .split("\n")
    .at(-1) ?? ""

const workload = (name: string, size: number, mode: string): Measured & { readonly file: string } => {
  const file = newFile()
  const measured = JSON.parse(lastLineOf("workload.ts", name, String(size), mode, file)) as Measured
  return { ...measured, bytes: sizeOf(file), file }
}

/** Several runs, of which the median by time counts. */
const repeated = <A extends Measured>(measure: () => A): A => {
  const all = Array.from({ length: repeats }, measure)
  const middle = median(all.map(({ ms }) => ms))
  return all.find(({ ms }) => ms === middle) as A
}

const interrupted = async (size: number, mode: string): Promise<number> => {
  const file = newFile()
  const child = Bun.spawn([process.execPath, here("workload.ts"), "interrupted", String(size), mode, file], { stdout: "pipe" })
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (!chunk.includes("half")) continue
    process.kill(child.pid, "SIGKILL")
    break
  }
  await child.exited
  const [first] = run("workload.ts", "interrupted", String(size), mode, file).split("\n")
  return (JSON.parse(first as string) as { ms: number }).ms
}

const processMs = (args: Array<string>): number => {
  const begin = performance.now()
  Bun.spawnSync([process.execPath, ...args])
  return performance.now() - begin
}

interface Row {
  readonly workload: string
  readonly synchronous: string
  readonly usPerStep: number
  readonly firstUsPerStep: number | undefined
  readonly limitUsPerStep: number | undefined
  readonly bytesPerStep: number | undefined
  readonly peakMb: number | undefined
}

const rows: Array<Row> = []
const goals: Array<{ readonly goal: string; readonly reached: string; readonly holds: boolean }> = []
const row = (name: string, mode: string, steps: number, measured: Measured, given: Partial<Row> = {}): Row => {
  const made: Row = {
    workload: name,
    synchronous: mode,
    usPerStep: (measured.ms / steps) * 1000,
    firstUsPerStep: measured.firstMs === undefined ? undefined : (measured.firstMs / steps) * 1000,
    limitUsPerStep: undefined,
    bytesPerStep: measured.bytes / steps / (measured.rounds ?? 1),
    peakMb: measured.peakBytes === undefined ? undefined : measured.peakBytes / 1e6,
    ...given,
  }
  rows.push(made)
  console.log(line(made))
  return made
}
const number = (value: number | undefined, digits = 1) => (value === undefined ? "" : value.toFixed(digits))
const percent = (made: Row) =>
  made.limitUsPerStep === undefined ? "" : `${((made.limitUsPerStep / made.usPerStep) * 100).toFixed(0)} %`
const line = (made: Row) =>
  `| ${[
    made.workload,
    made.synchronous,
    number(made.usPerStep),
    number(made.firstUsPerStep),
    number(made.limitUsPerStep),
    percent(made),
    number(made.bytesPerStep, 0),
    number(made.peakMb, 0),
  ].join(" | ")} |`
const goal = (text: string, reached: string, holds: boolean) => goals.push({ goal: text, reached, holds })

if (process.argv.includes("--check")) {
  const figures = await freshFigures(3, newFile)
  for (const { goal: text, reached, isWithinBound, bound } of figures)
    console.log(`${isWithinBound ? "ok" : "FAR OFF"}: ${text}: ${reached} (bound: ${bound})`)
  rmSync(folder, { recursive: true, force: true })
  process.exit(figures.every(({ isWithinBound }) => isWithinBound) ? 0 : 1)
}

const heading = [
  "| workload | synchronous | µs per step | first run | limit | of limit | bytes per step | peak MB |",
  "|---|---|---:|---:|---:|---:|---:|---:|",
]
console.log(heading.join("\n"))

const sizes = isQuick ? [200, 2000] : [200, 2000, 10_000]
for (const mode of isMeasured() ? ["normal", "full"] : []) {
  const measured = sizes.map((size) => {
    // In turn, so that a machine that slows down slows both.
    const pairs = Array.from({ length: repeats }, () => {
      const ours = workload("sequential", size, mode)
      const limit = JSON.parse(lastLineOf("limit.ts", ours.file, mode, newFile())) as Measured
      return { ours, ms: limit.ms / ours.ms, limitUsPerStep: (limit.ms / size) * 1000 }
    })
    const middle = median(pairs.map(({ ms }) => ms))
    const { ours, limitUsPerStep } = pairs.find(({ ms }) => ms === middle) as (typeof pairs)[number]
    return row(`sequential ${size}`, mode, size, ours, { limitUsPerStep })
  })
  const [small, large] = [measured[0] as Row, measured.at(-1) as Row]
  const worst = Math.min(...measured.map((made) => (made.limitUsPerStep as number) / made.usPerStep))
  goal(`sequential at least 40 % of the limit (${mode})`, `${(worst * 100).toFixed(0)} % at worst`, worst >= 0.4)
  const growth = large.usPerStep / small.usPerStep
  goal(`a step of the longest at most 1.25 × one of 200 (${mode})`, `${growth.toFixed(2)} ×`, growth <= 1.25)
  const bytes = large.bytesPerStep as number
  goal(
    `database under 1.5 KB per step, linear (${mode})`,
    measured.map((made) => number(made.bytesPerStep, 0)).join(", "),
    bytes < 1500,
  )

  const once = repeated(() => workload("once", sizes.at(-1) as number, mode))
  const lone = row(`sequential ${sizes.at(-1)}, alone in its process`, mode, sizes.at(-1) as number, once)
  goal(`peak memory under 150 MB at ${sizes.at(-1)} steps (${mode})`, `${number(lone.peakMb, 0)} MB`, (lone.peakMb as number) < 150)

  const wide = row(
    "parallel 1000",
    mode,
    1000,
    repeated(() => workload("parallel", 1000, mode)),
  )
  const sequential = row(
    "sequential 1000",
    mode,
    1000,
    repeated(() => workload("sequential", 1000, mode)),
  )
  const ratio = wide.usPerStep / sequential.usPerStep
  goal(`1,000 parallel steps at least as fast per step as sequential ones (${mode})`, `${ratio.toFixed(2)} ×`, ratio <= 1)
  row(
    "300 runs × 3 steps",
    mode,
    900,
    repeated(() => workload("many", 300, mode)),
  )

  for (const size of isQuick ? [5000] : [5000, 10_000]) {
    const times: Array<number> = []
    for (let index = 0; index < repeats; index++) times.push(await interrupted(size, mode))
    const ms = median(times)
    goal(`resume after SIGKILL at half of ${size} steps: first new step under 100 ms (${mode})`, `${ms.toFixed(0)} ms`, ms < 100)
  }
}

const longRuns = [
  ["races", "races in a loop", 20_000],
  ["items", "items of a list", 20_000],
  ["childItems", "items that are child runs", 10_000],
] as const
for (const [name, title, size] of isMeasured("long") ? longRuns : []) {
  const measured = repeated(() => workload(name, isQuick ? size / 10 : size, "normal"))
  const made = row(`${size} ${title}`, "normal", isQuick ? size / 10 : size, measured)
  const growth = (measured.lastQuarterMs ?? 0) / (measured.secondQuarterMs ?? 1)
  const memory = `${number(made.peakMb, 0)} MB`
  goal(`${title}: one of the last quarter at most 1.5 × one of the second`, `${growth.toFixed(2)} ×, ${memory}`, growth <= 1.5)
}

if (isMeasured("lists")) {
  // A list of a task, and a task for each of its items, in processes that begin with it.
  const measured = (isQuick ? [100, 1000] : [1000, 10_000]).map((size) => {
    const one = repeated(() => workload("forEach", size, "normal"))
    return { one, made: row(`JSX: ForEach of ${size} items`, "normal", size, one) }
  })
  const [small, large] = [measured[0], measured.at(-1)]
  const growth = (large?.made.usPerStep ?? 0) / (small?.made.usPerStep ?? 1)
  const quarters = (large?.one.lastQuarterMs ?? 0) / (large?.one.secondQuarterMs ?? 1)
  const renders = measured.map(({ one }) => one.renders)
  goal("JSX: an item of 10,000 of a ForEach at most 1.25 × one of 1,000", `${growth.toFixed(2)} ×`, growth <= 1.25)
  goal(
    "JSX: of 10,000 items of a ForEach, one of the last quarter at most 1.5 × one of the second",
    `${quarters.toFixed(2)} ×, ${number(large?.made.peakMb, 0)} MB`,
    quarters <= 1.5,
  )
  goal(
    "JSX: a ForEach is rendered once before its list and once with it, however long",
    `${renders.join(" and ")} renders`,
    renders.every((count) => count === 2),
  )
}

if (isMeasured()) {
  // The same thousand steps, built and as JSX, in turn.
  const pairs = Array.from({ length: repeats }, () => {
    const built = workload("sequential", 1000, "normal")
    const jsx = workload("jsx", 1000, "normal")
    return { jsx, ms: jsx.ms / built.ms }
  })
  const ratio = median(pairs.map(({ ms }) => ms))
  const { jsx } = pairs.find(({ ms }) => ms === ratio) as (typeof pairs)[number]
  row("JSX: sequence of 1000", "normal", 1000, jsx)
  goal("JSX: a sequence of 1,000 tasks without reads is rendered once", `${jsx.renders} render`, jsx.renders === 1)
  goal("JSX: its cost per step within 1.15 × of the builder's", `${ratio.toFixed(2)} ×`, ratio <= 1.15)

  const adaptive = repeated(() => workload("adaptive", 500, "normal"))
  const perFrame = adaptive.ms / (adaptive.renders as number)
  row("JSX: plan that grows to 500", "normal", 500, adaptive)
  goal("JSX: a plan that grows to 500 tasks, one each frame, under 3 ms per frame", `${perFrame.toFixed(2)} ms`, perFrame < 3)

  const sudden = repeated(() => workload("sudden", 5000, "normal"))
  const shown = `${sudden.ms.toFixed(0)} ms (${(sudden.firstMs as number).toFixed(0)} the first time)`
  goal("JSX: a frame that mounts 5,000 tasks under 60 ms", shown, sudden.ms < 60)
}

if (isMeasured("fresh")) {
  for (const { goal: text, reached, holds } of await freshFigures(repeats, newFile)) goal(text, reached, holds)
}

if (isMeasured("sql")) {
  // Steps of two statements in a transaction of the engine, and as many that do nothing, in turn.
  const measure = (what: string, size: number): Measured => {
    const file = newFile()
    const measured = JSON.parse(lastLineOf("sql.ts", what, String(size), "normal", file)) as Measured
    return { ...measured, bytes: sizeOf(file) }
  }
  const pairs = Array.from({ length: repeats }, () => {
    const steps = measure("steps", 1000)
    const empty = measure("empty", 1000)
    return { steps, ms: steps.ms / empty.ms }
  })
  const ratio = median(pairs.map(({ ms }) => ms))
  const { steps } = pairs.find(({ ms }) => ms === ratio) as (typeof pairs)[number]
  row("sequence of 1000 transactions, two statements each", "normal", 1000, steps)
  goal("a transactional step of two statements at most 2.5 × one that does nothing", `${ratio.toFixed(2)} ×`, ratio <= 2.5)
  const load = median(Array.from({ length: Math.max(repeats, 3) }, () => measure("load", 0).ms))
  goal("loading `smithers-orchestrator/sql` after the facade under 25 ms", `${load.toFixed(0)} ms`, load < 25)
}

if (isMeasured("lookback")) {
  const file = newFile()
  run("lookback.ts", "make", "2000", file)
  const all = Array.from(
    { length: repeats },
    () => JSON.parse(lastLineOf("lookback.ts", "load", "2000", file)) as { firstMs: number; ms: number; worstMs: number },
  )
  const middle = (name: "firstMs" | "ms" | "worstMs"): number => median(all.map((measured) => measured[name]))
  const shown = `${middle("ms").toFixed(1)} ms, ${middle("worstMs").toFixed(1)} ms at worst, ${middle("firstMs").toFixed(1)} ms for the first of a process`
  goal(
    "the state at any frame of a run of 2,000 steps under 30 ms",
    shown,
    Math.max(middle("ms"), middle("worstMs"), middle("firstMs")) < 30,
  )
  const forked = Array.from({ length: repeats }, () => {
    const copy = newFile()
    copyFileSync(file, copy)
    return JSON.parse(lastLineOf("lookback.ts", "fork", "2000", copy)) as Record<"firstMs" | "ms" | "worstMs" | "rawMs", number>
  })
  const of = (name: "firstMs" | "ms" | "worstMs" | "rawMs"): string => `${median(forked.map((one) => one[name])).toFixed(1)} ms`
  goal(
    "a fork of it as of any frame under 60 ms",
    `${of("ms")}, ${of("worstMs")} at worst, ${of("firstMs")} for the first of a process (rows of all steps as plain SQL ${of("rawMs")})`,
    Math.max(median(forked.map(({ worstMs }) => worstMs)), median(forked.map(({ firstMs }) => firstMs))) < 60,
  )
}

if (isMeasured("snapshots")) {
  const measured = JSON.parse(lastLineOf("snapshots.ts", isQuick ? "1" : "7")) as Record<string, number>
  const beside = (ours: string, raw: string): string => `${measured[ours]?.toFixed(0)} ms (raw git ${measured[raw]?.toFixed(0)} ms)`
  const under = (name: string, bound: number): boolean => (measured[name] ?? bound) < bound
  goal("snapshot of 20,000 unchanged files under 250 ms", beside("unchanged", "rawUnchanged"), under("unchanged", 250))
  goal("with 10 changes under 350 ms", beside("changed", "rawChanged"), under("changed", 350))
  goal("restore of those under 400 ms, saved before and compared after", beside("restored", "rawRestored"), under("restored", 400))
}
if (isMeasured("server")) {
  const { p50, p99, gaps, connections, messages } = JSON.parse(lastLineOf("server.ts", "streams", isQuick ? "3" : "15")) as Record<
    "p50" | "p99" | "gaps" | "connections" | "messages",
    number
  >
  const told = `${p50} ms, p99 ${p99} ms, ${gaps} gaps in ${messages.toLocaleString("en")} messages over ${connections} connections`
  goal(
    "200 streams of 50 events per second, half of them cut off every one to two seconds: p99 from commit to client under 20 ms, no gap",
    told,
    p99 < 20 && gaps === 0,
  )
  const { serve, ps } = JSON.parse(lastLineOf("server.ts", "listening", isQuick ? "1" : "7")) as Record<"serve" | "ps", number>
  const listening = `${serve.toFixed(0)} ms (\`ps\` ${ps.toFixed(0)} ms)`
  goal("`smithers serve` listens within 120 ms beyond `smithers ps`, from source", listening, serve - ps < 120)
}
if (isMeasured("redaction")) {
  const texts = Array.from({ length: repeats }, () => JSON.parse(run("redaction.ts", "texts", "100")) as Record<string, number>)
  const middle = (name: string): number => median(texts.map((measured) => measured[name] as number))
  const shown = ["clean", "found", "encoded"].map((name) => `${middle(name).toFixed(1)} ms`).join(", ")
  const worst = Math.max(...["clean", "found", "encoded"].map(middle))
  goal("redaction with 100 secrets under 4 ms per MB: clean text, 200 secrets in it, base64", shown, worst < 4)
  goal("the same in chunks of 4 KB under 6 ms", `${middle("chunks").toFixed(1)} ms`, middle("chunks") < 6)
  // In turn, so that a machine that slows down slows all.
  const steps = (count: number): number => (JSON.parse(run("redaction.ts", "steps", String(count), newFile())) as { us: number }).us
  const pairs = Array.from({ length: repeats }, () => {
    const none = steps(0)
    return { three: steps(3) - none, hundred: steps(100) - none, again: Math.abs(steps(0) - none) }
  })
  const more = (name: "three" | "hundred" | "again"): number => median(pairs.map((pair) => pair[name]))
  const cost = `${more("three").toFixed(1)} µs with 3 secrets, ${more("hundred").toFixed(1)} µs with 100, ±${more("again").toFixed(1)} µs without`
  goal("redaction adds under 15 µs to a sequential step, and nothing without secrets", cost, more("hundred") < 15)
}

if (isMeasured("agents")) {
  // Steps whose agent answers at once, and as many without an agent, in turn; then agents whose model takes its time.
  const measure = (what: string, size: number) => {
    const measured = JSON.parse(lastLineOf("agents.tsx", what, String(size), newFile())) as {
      readonly ms: number
      readonly bytes: number
    }
    return measured
  }
  const beyond = (what: string): number =>
    median(Array.from({ length: repeats }, () => (measure(what, 200).ms - measure("steps", 200).ms) / 200))
  const [calls, tools] = [beyond("calls"), beyond("tools")]
  goal("an agent step, its conversation recorded, under 2 ms beyond its model", `${calls.toFixed(2)} ms`, calls < 2)
  goal("the same with four tool calls, each recorded twice, under 5 ms", `${tools.toFixed(2)} ms`, tools < 5)
  const reserved = median(
    Array.from({ length: Math.max(repeats, 3) }, () => (measure("budgets", 200).ms - measure("calls", 200).ms) / 200),
  )
  goal("a reservation in a budget, before a call of a model, under 1 ms", `${reserved.toFixed(2)} ms`, reserved < 1)
  const unused = median(
    Array.from(
      { length: repeats },
      () => (JSON.parse(lastLineOf("agents.tsx", "unused", "200", newFile())) as { ratio: number }).ratio,
    ),
  )
  goal(
    "plain steps in a runtime with limits, prices and a daily budget, none of which they use: as fast as without, within 10 %",
    `${(unused * 100).toFixed(0)} % of the time`,
    unused < 1.1,
  )
  const bytes = (size: number): number => median(Array.from({ length: repeats }, () => measure("waiting", size).bytes))
  const more = (bytes(200) - bytes(1)) / 2 ** 20
  goal("200 agent steps that wait for slow models, under 40 MB more than one", `${more.toFixed(0)} MB`, more < 40)
}

interface WaitingRow {
  readonly what: string
  readonly measured: ReadonlyArray<string>
}
const waitingRows: Array<WaitingRow> = []
const waitingRow = (what: string, ...measured: Array<string>) => {
  waitingRows.push({ what, measured })
  console.log(waitingLine({ what, measured }))
}
const waitingLine = ({ what, measured }: WaitingRow) => `| ${what} | ${measured.join(", ")} |`
const waitingHeading = ["| runs that wait | measured |", "|---|---|"]

/** Each figure is the median of its own over some measurements. */
const waiting = (name: string, size: number, file = newFile, times = repeats): Record<string, number> => {
  const all = Array.from(
    { length: times },
    () => JSON.parse(lastLineOf("waiting.ts", name, String(size), file())) as Record<string, number>,
  )
  return Object.fromEntries(Object.keys(all[0] ?? {}).map((key) => [key, median(all.map((measured) => measured[key] as number))]))
}

if (isMeasured()) {
  console.log(waitingHeading.join("\n"))
  const ms = (value: number | undefined, digits = 1) => `${number(value, digits)} ms`
  const filled = newFile()
  const waitingRuns = isQuick ? 1000 : 10_000
  run("waiting.ts", "fill", String(waitingRuns), filled)
  const beside = () => {
    const file = newFile()
    copyFileSync(filled, file)
    return file
  }

  for (const by of ["approval", "signal"]) {
    const alone = waiting(by, 300)
    const among = waiting(by, 300, beside)
    const across = waiting(`${by} across`, 300, newFile, Math.min(repeats, 3))
    const shown = ({ p50, p95 }: Record<string, number>, digits = 2) => [`median ${ms(p50, digits)}`, `p95 ${ms(p95, digits)}`]
    waitingRow(`from ${by} to the next step, in one process`, ...shown(alone))
    waitingRow(`the same beside ${waitingRuns} other runs that wait`, ...shown(among))
    waitingRow(`from ${by} in one process to the next step in another`, ...shown(across, 1))
    goal(`from ${by} to the next step, between two processes: median under 50 ms`, ms(across.p50), (across.p50 as number) < 50)
  }

  const { cpuPercent, statementsPerSecond } = waiting("idle", 0, () => filled, Math.min(repeats, 3))
  waitingRow(
    `${waitingRuns} runs wait, nothing happens, one supervisor`,
    `${number(cpuPercent, 2)} % of a core`,
    `${number(statementsPerSecond)} statements per second`,
  )
  goal(`${waitingRuns} waiting runs cost at most 0.3 % of a core`, `${number(cpuPercent, 2)} %`, (cpuPercent as number) <= 0.3)

  for (const [body, frames] of [
    ["timer", 1],
    ["step and timer", 2],
  ] as const) {
    const pass = waiting(body, 300)
    waitingRow(
      `a pass of a loop of ${body}, every ${pass.everyMs} ms`,
      `${number(pass.frames, 2)} frames`,
      `${number(pass.events, 2)} events`,
      `${number(pass.bytes, 0)} bytes`,
      ms(pass.ms, 2),
      `${ms(pass.cpuMs, 2)} of CPU`,
    )
    const text = `a pass of a loop of ${body}: ${frames === 1 ? "one frame" : "two frames, one for each thing that ends"}`
    goal(text, number(pass.frames, 2), pass.frames === frames)
  }

  const alarms = waiting("alarms", waitingRuns, newFile, 1)
  waitingRow(
    `${waitingRuns} timers of one run due at once`,
    `all over after ${ms(alarms.ms, 0)}`,
    `${ms(alarms.firstMs, 0)} the first time`,
  )
  const due = waiting("due at once", waitingRuns, newFile, Math.min(repeats, 3))
  waitingRow(
    `${waitingRuns} runs of one timer due at once, one supervisor`,
    `all over after ${ms(due.ms, 0)}`,
    `${number(((due.ms as number) / waitingRuns) * 1000, 0)} µs per run`,
    `${due.more} taken up for nothing`,
  )
}

if (isMeasured("page") && !isQuick) {
  const found = JSON.parse(lastLineOf("page.ts")) as typeof goals
  for (const { goal: text, reached, holds } of found) goal(text, reached, holds)
}

if (isMeasured()) {
  const coldRuns = Array.from({ length: 9 }, () => {
    const empty = processMs([here("empty.ts")])
    return processMs([here("workload.ts"), "cold", "1", "normal", newFile()]) - empty
  })
  const cold = median(coldRuns)
  goal("cold start of a one-step workflow under 250 ms over an empty process", `${cold.toFixed(0)} ms`, cold < 250)

  const figures = [...(await cliFigures(newFile(), repeats)), ...editorFigures(await measureEditor())]
  for (const { goal: text, ms, limitMs } of figures) goal(text, `${ms.toFixed(0)} ms`, ms < limitMs)
}

/** Replaces earlier figures by those of this run. Figures of parts that were not measured stay. */
const merged = <A>(before: ReadonlyArray<A>, now: ReadonlyArray<A>, keyOf: (item: A) => string): ReadonlyArray<A> => {
  if (chosen.length === 0) return now
  const fresh = new Map(now.map((item) => [keyOf(item), item]))
  const kept = before.map((item) => fresh.get(keyOf(item)) ?? item)
  const known = new Set(before.map(keyOf))
  return [...kept, ...now.filter((item) => !known.has(keyOf(item)))]
}
const before = JSON.parse(readFileSync(here("results.json"), "utf8")) as {
  readonly rows: ReadonlyArray<Row>
  readonly waiting: ReadonlyArray<WaitingRow>
  readonly goals: typeof goals
}
const allRows = merged(before.rows, rows, ({ workload, synchronous }) => `${workload} ${synchronous}`)
const allWaiting = merged(before.waiting, waitingRows, ({ what }) => what)
const allGoals = merged(before.goals, goals, ({ goal }) => goal)

const document = [
  "# Results",
  "",
  `Written by \`bun run bench\` on ${cpus().length} cores (${cpus()[0]?.model ?? "unknown"}), Bun ${Bun.version}. Absolute times drift from machine to machine; the`,
  "ratios within one run are what to compare. The limit is a plain `bun:sqlite` program that commits the same rows once per",
  "step. The first run in a process includes compiling and is a column of its own; then the workload is repeated until the process",
  "is warm, as is the limit, and the median is the figure. Bytes are of the whole database, all tables and the log included. What is",
  "told to a waiting run is told a few hundred times, to a run of its own each time, in two processes at moments of no pattern. Parts that",
  "can be measured alone (agents, transactions, redaction, long runs, lists, snapshots, the page) may be of a later moment than the rest, and of a busier machine.",
  "",
  ...heading,
  ...allRows.map(line),
  "",
  ...waitingHeading,
  ...allWaiting.map(waitingLine),
  "",
  "| to reach | measured | |",
  "|---|---|---|",
  ...allGoals.map(({ goal: text, reached, holds }) => `| ${text} | ${reached} | ${holds ? "yes" : "**no**"} |`),
  "",
].join("\n")
console.log(`\n${document.slice(document.indexOf("| to reach"))}`)
if (!isQuick) {
  writeFileSync(here("RESULTS.md"), document)
  writeFileSync(here("results.json"), `${JSON.stringify({ rows: allRows, waiting: allWaiting, goals: allGoals }, null, 2)}\n`)
}
rmSync(folder, { recursive: true, force: true })
