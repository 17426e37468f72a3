/**
 * Runs one workload in a process of its own and prints what it measured as one line of JSON:
 * `bun bench/workload.ts <workload> <size> <synchronous> <file>`.
 */
import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import * as components from "./components.tsx"
import { peakBytes } from "./peak.ts"
import { roundsOf, warm } from "./warm.ts"
import * as workflows from "./workflows.ts"

const [workload, sizeText, synchronous, filename = ""] = process.argv.slice(2)
const size = Number(sizeText)

const onFile = <A, E>(effect: Effect.Effect<A, E, Smithers.Runtime>) =>
  Effect.runPromise(
    effect.pipe(Effect.provide(Smithers.sqlite({ filename, synchronous: synchronous === "full" ? "full" : "normal" }))),
  )

/** Milliseconds that an effect takes, without opening the database. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begin = performance.now()
    yield* effect
    return performance.now() - begin
  })

const report = (measured: Record<string, number>) => {
  console.log(JSON.stringify({ ...measured, peakBytes: peakBytes() }))
}

/**
 * The first run in a process pays for compiling; it is reported by itself. Then the workload is repeated until the process has
 * seen enough steps to be warm, and the median of the second half of the repetitions is the figure.
 */
const repeatedly = async (steps: number, effect: Effect.Effect<unknown, unknown, Smithers.Runtime>) => {
  const rounds = roundsOf(steps)
  const times = await onFile(Effect.all(Array.from({ length: rounds }, () => timed(effect))))
  report({ firstMs: times[0] as number, ms: warm(times), rounds })
}

switch (workload) {
  case "sequential":
    await repeatedly(size, workflows.sequential(size).execute({ count: size }))
    break
  case "parallel":
    await repeatedly(size, workflows.parallel(size).execute({ count: size }))
    break
  case "many":
    await repeatedly(size * 3, workflows.many(size, 3))
    break
  case "races":
  case "items":
  case "forEach":
  case "childItems": {
    // Cost per item at the beginning, and at the end.
    const quarters: Array<number> = []
    let begun = 0
    let renders = 0
    const note = () => {
      if (++begun % (size / 4) === 0) quarters.push(performance.now())
    }
    const runs = {
      races: () => timed(workflows.races(size, note).execute({ count: size })),
      items: () => timed(workflows.items(size, note).execute({ count: size })),
      forEach: () => timed(components.forEach(size, () => renders++, note).execute({})),
      childItems: () => timed(workflows.childItems(size, note).execute({ count: size })),
    }
    const ms = await onFile(runs[workload]())
    const [first = 0, second = 0, third = 0, last = 0] = quarters
    report({ ms, secondQuarterMs: second - first, lastQuarterMs: last - third, ...(renders > 0 ? { renders } : {}) })
    break
  }
  case "once":
    report({ ms: await onFile(timed(workflows.sequential(size).execute({ count: size }))) })
    break
  case "jsx": {
    let renders = 0
    const workflow = components.sequential(size, () => renders++)
    const rounds = roundsOf(size)
    const times = await onFile(Effect.all(Array.from({ length: rounds }, () => timed(workflow.execute({})))))
    report({ firstMs: times[0] as number, ms: warm(times), rounds, renders: renders / rounds })
    break
  }
  case "adaptive": {
    let renders = 0
    const ms = await onFile(timed(components.adaptive(size, () => renders++).execute({})))
    report({ ms, renders })
    break
  }
  case "sudden": {
    // From the end of the first task to the beginning of the next: render, plan, schedule, commit.
    const times: Array<number> = []
    let done = 0
    const onBegin = () => times.push(performance.now() - done)
    const workflow = components.sudden(
      size,
      () => {
        done = performance.now()
      },
      onBegin,
    )
    for (let round = 0; round < 5; round++) await onFile(workflow.run({}))
    report({ firstMs: times[0] as number, ms: warm(times) })
    break
  }
  case "interrupted": {
    // Says when each step begins, so that the parent can kill in the middle; resuming prints the time to the first new step.
    let begin = 0
    let isFirst = true
    const workflow = workflows.sequential(size, (index) => {
      if (isFirst) console.log(JSON.stringify({ firstStep: index, ms: performance.now() - begin }))
      isFirst = false
      if (index === size / 2) console.log("half")
    })
    // From here on: opening the database, loading the run, planning, the first frame.
    begin = performance.now()
    await onFile(workflow.execute({ count: size }, { runId: "interrupted" }))
    console.log("done")
    break
  }
  case "cold":
    await onFile(workflows.sequential(1).execute({ count: 1 }))
    break
  default:
    throw new Error(`no workload "${workload}"`)
}
