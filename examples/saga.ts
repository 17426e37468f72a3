/**
 * A trip that is booked in three steps, of which the last fails: what was booked is cancelled again, the last first. Stop it with Ctrl-C in the
 * middle and start it again, and it goes on undoing where it was: `bun examples/saga.ts [run id]`.
 */
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const say = (text: string) =>
  Effect.delay(
    Effect.sync(() => console.log(text)),
    "700 millis",
  )

const Trip = Smithers.createWorkflow({ name: "trip", input: Schema.Struct({ to: Schema.String }) }).build(($) => {
  const book = (what: string) =>
    $.step(what, {
      output: Schema.Struct({ reference: Schema.String }),
      // The key is the same in every attempt, so that whoever books can tell one booking from two.
      run: ({ input, idempotencyKey }) =>
        Effect.as(say(`booking a ${what} to ${input.to}`), { reference: `${what} ${idempotencyKey}` }),
      compensate: ({ output }) => say(`cancelling ${output.reference}`),
    })
  const car = $.step("car", {
    output: Schema.String,
    retry: { maxAttempts: 2, initialDelay: "1 second" },
    run: () => Effect.zipRight(say("renting a car"), Effect.fail(new Error("there is no car left"))),
  })
  return $.tryCatch({
    try: $.saga($.parallel(book("flight"), book("hotel")), car, { id: "bookings" }),
    catch: ({ error, input }) => `We stay at home instead of going to ${input.to}: ${error.message}.`,
    finally: $.step("tell", { output: Schema.Void, run: () => say("telling everybody") }),
  })
})

const [runId = "trip"] = process.argv.slice(2)
const program = Effect.flatMap(Trip.execute({ to: "Lisbon" }, { runId }), (outcome) => Effect.sync(() => console.log(outcome)))
await Effect.runPromise(Effect.provide(program, Smithers.sqlite({ filename: "trip.db" })))
