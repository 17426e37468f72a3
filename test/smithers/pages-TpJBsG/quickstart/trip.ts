import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

export default Smithers.createWorkflow({
  name: "trip",
  input: Schema.Struct({ city: Schema.String }),
}).build(($) => {
  const flight = $.step("flight", {
    output: Schema.Struct({ number: Schema.String, price: Schema.Number }),
    run: ({ input }) => Effect.succeed({ number: `SM-${input.city}`, price: 120 }),
  })
  const hotel = $.step("hotel", {
    output: Schema.Struct({ name: Schema.String, price: Schema.Number }),
    run: async ({ input, attempt }) => {
      await Bun.sleep(2000)
      // A power cut, on the first attempt only.
      if (attempt === 1) process.kill(process.pid, "SIGKILL")
      return { name: `Hotel ${input.city}`, price: 80 }
    },
  })
  const total = $.step("total", {
    needs: { flight, hotel },
    output: Schema.Number,
    run: ({ flight, hotel }) => flight.price + hotel.price,
  })
  return $.sequence(flight, hotel, total)
})
