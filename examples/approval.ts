/**
 * A run that waits for a person: it implements, asks whether to ship, and ships. Start it, and it says how to answer; answer from
 * another terminal, an hour or a restart later, and start it again: `bun examples/approval.ts [run id]`, then
 * `bun examples/approval.ts [run id] approve|deny [your name]`.
 */
import { Effect, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

const Ship = Smithers.createWorkflow({ name: "ship", input: Schema.Struct({ spec: Schema.String }) }).build(($) => {
  const diff = $.step("implement", {
    output: Schema.Struct({ summary: Schema.String }),
    run: ({ input }) => Effect.delay(Effect.succeed({ summary: `adds ${input.spec}` }), "1 second"),
  })
  const decision = $.approval("ship", {
    needs: { diff },
    request: ({ diff }) => ({ title: "Ship this diff?", summary: diff.summary }),
    onDeny: "continue",
    timeout: "1 day",
    onTimeout: "deny",
  })
  const deploy = $.step("deploy", {
    needs: { diff, decision },
    output: Schema.String,
    run: ({ diff, decision }) =>
      decision.approved
        ? `Shipped what ${diff.summary}, as ${decision.decidedBy ?? "somebody"} wished.`
        : `Not shipped: ${decision.timedOut ? "nobody decided in time" : (decision.decidedBy ?? "somebody said no")}.`,
  })
  return $.sequence(diff, decision, deploy)
})

const [runId = "ship", command, by = "somebody"] = process.argv.slice(2)
const store = Smithers.sqlite({ filename: "ship.db" })

const program = Effect.gen(function* () {
  if (command === "approve") return yield* Smithers.approve(runId, "ship", { by })
  if (command === "deny") return yield* Smithers.deny(runId, "ship", { by })
  const result = yield* Ship.run({ spec: "a login" }, { runId })
  if (result.status === "waiting-approval") console.log(`It waits for you: bun ${process.argv[1]} ${runId} approve <your name>`)
  else console.log(result.status === "finished" ? result.output : result)
})

await Effect.runPromise(Effect.provide(program, store))
