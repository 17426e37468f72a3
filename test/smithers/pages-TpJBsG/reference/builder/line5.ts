import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Triage = Smithers.createWorkflow({
  name: "triage",
  input: Schema.Struct({ title: Schema.String }),
  maxConcurrency: 8, // slots of one run, for steps in flight and child runs at work. Default: 4
}).build(($) => {
  const kind = $.step("kind", { output: Schema.Literal("bug", "idea"), run: ({ input }) => (input.title.includes("crash") ? "bug" : "idea") })
  const fix = $.step("fix", { output: Schema.String, run: () => "fixed" })
  const plan = $.step("plan", { output: Schema.String, run: () => "planned" })
  const audit = ($: Smithers.Builder<{ readonly title: string }>, area: string) =>
    $.step("audit", { output: Schema.String, run: ({ input }) => `${area} of ${input.title}` })
  return $.sequence(
    kind,
    $.parallel($.fragment("security", audit, "security"), $.fragment("speed", audit, "speed"), { maxConcurrency: 1 }),
    $.branch({ needs: { kind }, when: ({ kind }) => kind === "bug", then: fix }),
    $.switch({ needs: { kind }, on: ({ kind }) => kind, cases: { bug: $.step("close", { output: Schema.String, run: () => "closed" }), idea: plan } }),
  )
})
console.log(await Effect.runPromise(Triage.execute({ title: "a crash" }).pipe(Effect.provide(Smithers.memory))))
