/**
 * Figures of processes that have just begun, each beside a program that commits the least rows such a promise needs, or that only
 * imports `effect`, in turn with it: a machine that slows down slows both. Ratios are what carries over to another machine.
 */
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { fill } from "./cli.ts"
import { publishedProject } from "./published.ts"
import { wallClock } from "./warm.ts"

/** A figure: `value` beside what is to be reached, and beside the bound that `--check` holds it to. */
export interface FreshFigure {
  readonly goal: string
  readonly reached: string
  readonly holds: boolean
  readonly isWithinBound: boolean
  readonly bound: string
}

interface Printed {
  readonly ms: number
  readonly peakBytes: number
}

const here = (name: string): string => join(import.meta.dir, name)

const median = (values: ReadonlyArray<number>): number =>
  values.toSorted((left, right) => left - right)[values.length >> 1] as number

const run = (script: string, ...args: ReadonlyArray<string>): string => {
  const { exitCode, stdout } = Bun.spawnSync([process.execPath, here(script), ...args], { stderr: "inherit" })
  if (exitCode !== 0) throw new Error(`${script} ${args.join(" ")} ended with ${exitCode}`)
  return stdout.toString().trimEnd()
}

const fresh = (workload: string, size: number, mode: string, file: string): Printed =>
  JSON.parse(run("fresh.ts", workload, String(size), mode, file).split("\n").at(-1) ?? "")

/** Time of a whole process, from its start to its end. */
const processMs = (...args: ReadonlyArray<string>): number => {
  const begin = performance.now()
  const { exitCode, stderr } = Bun.spawnSync([process.execPath, ...args])
  if (exitCode !== 0) throw new Error(`${args.join(" ")} ended with ${exitCode}: ${stderr}`)
  return performance.now() - begin
}

/** Time from the start of a server to the line with its address. */
const listeningMs = async (...args: ReadonlyArray<string>): Promise<number> => {
  const begin = performance.now()
  const server = Bun.spawn([process.execPath, ...args], { stdout: "pipe", stderr: "inherit" })
  try {
    for await (const chunk of server.stdout.pipeThrough(new TextDecoderStream()))
      if (chunk.includes("http://")) return performance.now() - begin
  } finally {
    server.kill()
    await server.exited
  }
  throw new Error(`${args.join(" ")} ended before it listened`)
}

/** Number of runs in the list that `ps` is measured with. */
const listed = 10_000
/** Number of runs that wait while nothing happens. */
const resting = 300

/** Kills a run of `size` steps at its half; then from the start of a process to the first new step. */
const resumedMs = async (size: number, file: string): Promise<number> => {
  const args = [process.execPath, here("fresh.ts"), "interrupted", String(size), "normal", file]
  const child = Bun.spawn(args, { stdout: "pipe" })
  for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
    if (!chunk.includes("half")) continue
    child.kill("SIGKILL")
    break
  }
  await child.exited
  const begin = wallClock()
  const [first = ""] = run("fresh.ts", "interrupted", String(size), "normal", file).split("\n")
  return (JSON.parse(first) as { readonly at: number }).at - begin
}

/** Steps of a workload per step of the least rows. */
interface Share {
  readonly workload: string
  readonly size: number
  readonly steps: number
  readonly mode: "normal" | "full"
  readonly goal: number
  /** Least share that `--check` takes. Loaded machines give half of what quiet ones do. */
  readonly bound: number
}

const shares: ReadonlyArray<Share> = [
  { workload: "sequential", size: 500, steps: 500, mode: "normal", goal: 0.24, bound: 0.04 },
  { workload: "sequential", size: 2000, steps: 2000, mode: "normal", goal: 0.3, bound: 0.05 },
  { workload: "sequential", size: 2000, steps: 2000, mode: "full", goal: 0.75, bound: 0.12 },
  { workload: "parallel", size: 500, steps: 500, mode: "normal", goal: 0.4, bound: 0.05 },
  { workload: "many", size: 200, steps: 600, mode: "normal", goal: 0.18, bound: 0.02 },
]

/** Measures all, each `repeats` times. `newFile` names a file that does not exist. */
export const freshFigures = async (repeats: number, newFile: () => string): Promise<ReadonlyArray<FreshFigure>> => {
  const figures: Array<FreshFigure> = []
  for (const { workload, size, steps, mode, goal, bound } of shares) {
    const pairs = Array.from({ length: repeats }, () => {
      const { ms } = fresh(workload, size, mode, newFile())
      return { share: fresh("rows", steps, mode, newFile()).ms / ms, perSecond: (size / ms) * 1000 }
    })
    const share = median(pairs.map((pair) => pair.share))
    const unit = workload === "many" ? "runs of three steps" : "steps"
    figures.push({
      goal: `fresh process, ${workload} ${size} (${mode}): at least ${goal} of the least rows`,
      reached: `${share.toFixed(2)}, ${median(pairs.map((pair) => pair.perSecond)).toFixed(0)} ${unit} per second`,
      holds: share >= goal,
      isWithinBound: share >= bound,
      bound: `at least ${bound}`,
    })
  }

  /** A whole process beside one that only imports `effect`. */
  const beside = async (name: string, measure: () => number | Promise<number>, goal: number, bound: number): Promise<void> => {
    const pairs: Array<{ readonly ms: number; readonly least: number }> = []
    for (let round = 0; round < repeats; round++)
      pairs.push({ ms: await measure(), least: processMs(here("effectOnly.ts"), newFile()) })
    const ratio = median(pairs.map(({ ms, least }) => ms / least))
    figures.push({
      goal: `fresh process, ${name}: at most ${goal} × one that imports effect and opens a file`,
      reached: `${ratio.toFixed(2)} ×, ${median(pairs.map(({ ms }) => ms)).toFixed(0)} ms`,
      holds: ratio <= goal,
      isWithinBound: ratio <= bound,
      bound: `at most ${bound} ×`,
    })
  }
  await beside("one step, from start to exit", () => processMs(here("one.ts"), newFile()), 1.3, 5)
  await beside("SIGKILL at half of 500 steps, from start to the first new step", () => resumedMs(500, newFile()), 1.2, 6)

  const folder = newFile()
  mkdirSync(folder)
  const { bin, one } = await publishedProject(folder)
  const list = newFile()
  await fill(list, listed)
  // The times that are asked for are of a machine on which importing effect takes 120 ms.
  await beside("one step of the published package, from start to exit", () => processMs(one, newFile()), 1.3, 5)
  await beside("`smithers up` of one step", () => processMs(bin, "up", one, "--db", newFile()), 1.5, 8)
  await beside(`\`smithers ps\` of ${listed} runs`, () => processMs(bin, "ps", "--db", list), 0.75, 5)
  await beside("`smithers serve` until it listens", () => listeningMs(bin, "serve", "--port", "0", "--db", newFile()), 1, 6)
  await beside("`smithers --version`", () => processMs(bin, "--version"), 0.09, 0.6)

  for (const { name, workload, size, goalMb, boundMb } of [
    { name: "one step", workload: "one", size: 1, goalMb: 79, boundMb: 200 },
    { name: "10,000 steps, one after another", workload: "sequential", size: 10_000, goalMb: 110, boundMb: 350 },
  ]) {
    const peaks = Array.from({ length: Math.min(repeats, 3) }, () => fresh(workload, size, "normal", newFile()).peakBytes)
    const megabytes = median(peaks) / 1e6
    figures.push({
      goal: `fresh process, ${name}: at most ${goalMb} MB at its peak`,
      reached: `${megabytes.toFixed(0)} MB`,
      holds: megabytes <= goalMb,
      isWithinBound: megabytes <= boundMb,
      bound: `at most ${boundMb} MB`,
    })
  }

  const waiting = newFile()
  run("waiting.ts", "fill", String(resting), waiting)
  const { statementsPerSecond }: { readonly statementsPerSecond: number } = JSON.parse(run("waiting.ts", "idle", "0", waiting))
  figures.push({
    goal: `a supervisor over ${resting} runs that wait: at most 5 statements per second`,
    reached: statementsPerSecond.toFixed(1),
    holds: statementsPerSecond <= 5,
    isWithinBound: statementsPerSecond <= 15,
    bound: "at most 15",
  })

  const signal = median(Array.from({ length: Math.min(repeats, 3) }, () => fresh("signal", 30, "normal", newFile()).ms))
  figures.push({
    goal: "fresh process, the first 30 signals: next step within 1 ms in the median",
    reached: `${signal.toFixed(2)} ms`,
    holds: signal <= 1,
    isWithinBound: signal <= 30,
    bound: "at most 30 ms",
  })
  return figures
}
