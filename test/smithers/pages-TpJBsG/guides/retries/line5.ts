import { Effect, Schedule, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

let calls = 0
const flaky = () => {
  calls++
  if (calls < 3) throw Object.assign(new Error("overloaded"), { status: 503 })
  return calls
}

const Fetch = Smithers.createWorkflow({ name: "fetch", input: Schema.Struct({}) }).build(($) =>
  $.sequence(
    $.step("options", {
      output: Schema.Number,
      timeout: "30s", // longest time of one attempt. Default: none
      retry: { maxAttempts: 5, initialDelay: "10ms", factor: 2, maxDelay: "1m", while: ({ status }) => (status ?? 500) >= 500 },
      run: flaky,
    }),
    $.step("schedule", {
      output: Schema.Number,
      retry: Schedule.exponential("10 millis").pipe(
        Schedule.intersect(Schedule.recurs(5)),
        Schedule.whileInput((error: Smithers.ErrorInfo) => error.status === undefined || error.status >= 500),
      ),
      run: () => calls,
    }),
  ),
)
console.log(await Effect.runPromise(Fetch.execute({}).pipe(Effect.provide(Smithers.memory))))
