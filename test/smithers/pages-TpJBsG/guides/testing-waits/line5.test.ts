import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { TestRuntime } from "smithers-orchestrator/testing"

const Claim = Smithers.createWorkflow({ name: "claim", input: Schema.Struct({ amount: Schema.Number }) }).build(($) => {
  const form = $.human("form", { prompt: "What happened?", output: Schema.Struct({ text: Schema.String }) })
  const ok = $.approval("ok", {
    needs: { form },
    request: ({ form }) => ({ title: form.text }),
    onDeny: "continue",
    timeout: "2 days",
    onTimeout: "approve",
  })
  const bank = $.signal("bank", { name: "paid", payload: Schema.String, correlation: ({ runId }) => runId })
  const note = $.step("note", {
    needs: { ok, bank },
    output: Schema.String,
    run: ({ ok, bank }) => `${ok.timedOut ? "in time" : ok.decidedBy}: ${bank}`,
  })
  return $.sequence(form, ok, bank, note)
})

test("pays what somebody has approved", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(Claim, { amount: 5 }, { runId: "c1" })
  await runtime.answer("c1", "form", { text: "hail" })
  await runtime.approve("c1", "ok", { by: "ann" })
  await runtime.signal("c1", "paid", { payload: "done", correlation: "c1" })
  expect(await run.output()).toBe("ann: done")
})

test("approves by itself after two days", async () => {
  await using runtime = TestRuntime.make()
  const run = await runtime.start(Claim, { amount: 5 }, { runId: "c2" })
  await runtime.answer("c2", "form", { text: "hail" })
  await runtime.waitFor("c2", { nodeId: "ok" })
  await runtime.advance("2 days")
  await runtime.signal("c2", "paid", { payload: "done", correlation: "c2" })
  expect(await run.output()).toBe("in time: done")
})

test("refuses a form without text", async () => {
  await using runtime = TestRuntime.make()
  await runtime.start(Claim, { amount: 5 }, { runId: "c3" })
  await expect(runtime.answer("c3", "form", {})).rejects.toMatchObject({ _tag: "InvalidAnswer" })
})
