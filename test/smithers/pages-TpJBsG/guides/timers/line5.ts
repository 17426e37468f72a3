import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

let asked = 0
const askJob = () => ({ isDone: ++asked === 3 })

const Poll = Smithers.createWorkflow({ name: "poll", input: Schema.Struct({}) }).build(($) => {
  const check = $.step("check", { output: Schema.Struct({ isDone: Schema.Boolean }), run: askJob })
  const pause = $.timer("pause", { duration: ({ iteration }) => `${2 ** iteration}m` }) // 1, 2, 4 … minutes
  return $.loop({
    id: "poll",
    body: $.sequence(check, $.branch({ needs: { check }, when: ({ check }) => !check.isDone, then: pause })),
    needs: { check },
    until: ({ check }) => check?.isDone === true,
    maxIterations: Infinity,
  })
})

// The clock of the test kit passes over idle time.
await Effect.runPromise(Poll.execute({}).pipe(Effect.provide(TestRuntime.layer())))
console.log(`asked ${asked} times`)
