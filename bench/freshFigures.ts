/**
 * Figures of processes that have just begun, each beside a program that commits the least rows such a promise needs, or that only
 * imports `effect`, in turn with it: a machine that slows down slows both. Ratios are what carries over to another machine.
 */
import { join } from "node:path"
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

const processMs = (script: string, ...args: ReadonlyArray<string>): number => {
  const begin = performance.now()
  run(script, ...args)
  return performance.now() - begin
}

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
    for (let round = 0; round < repeats; round++) pairs.push({ ms: await measure(), least: processMs("effectOnly.ts", newFile()) })
    const ratio = median(pairs.map(({ ms, least }) => ms / least))
    figures.push({
      goal: `fresh process, ${name}: at most ${goal} × one that imports effect and opens a file`,
      reached: `${ratio.toFixed(2)} ×, ${median(pairs.map(({ ms }) => ms)).toFixed(0)} ms`,
      holds: ratio <= goal,
      isWithinBound: ratio <= bound,
      bound: `at most ${bound} ×`,
    })
  }
  await beside("one step, from start to exit", () => processMs("fresh.ts", "one", "1", "normal", newFile()), 1.3, 5)
  await beside("SIGKILL at half of 500 steps, from start to the first new step", () => resumedMs(500, newFile()), 1.2, 6)

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
