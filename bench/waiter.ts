/**
 * The process that works on runs which another one tells something: `bun bench/waiter.ts <approval or signal> <runs> <file>`. Prints a line
 * when all of them wait, and when all have ended one with the time at which the next step of each began.
 */
import { Effect } from "effect"
import { Smithers } from "smithers-orchestrator"
import { wallClock } from "./warm.ts"
import { type Told, told } from "./workflows.ts"

const [by, count, filename = ""] = process.argv.slice(2)

const begun: Array<number> = []
const workflow = told(by as Told, (index) => {
  begun[index] = wallClock()
})

await Effect.runPromise(
  Effect.gen(function* () {
    const start = (_: unknown, index: number) => workflow.start({ index }, { runId: `r${index}` })
    const handles = yield* Effect.forEach(Array.from({ length: Number(count) }), start)
    for (const { waiting } of handles) yield* waiting
    console.log("waiting")
    for (const handle of handles) yield* handle.await
    console.log(JSON.stringify(begun))
  }).pipe(Effect.provide(Smithers.sqlite({ filename }))),
)
