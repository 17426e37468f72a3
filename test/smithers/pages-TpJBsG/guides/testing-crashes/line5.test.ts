import { expect, test } from "bun:test"
import { Schema } from "effect"
import { Smithers } from "smithers-orchestrator"
import { crashEverywhere } from "smithers-orchestrator/testing"

const charges = new Map<string, number>()
let mails = 0
const checkout = (isCareful: boolean) =>
  Smithers.createWorkflow({ name: "checkout", input: Schema.Struct({ amount: Schema.Number }) }).build(($) => {
    const charge = $.step("charge", {
      output: Schema.Number,
      run: ({ input, idempotencyKey }) => {
        charges.set(idempotencyKey, input.amount)
        return input.amount
      },
    })
    const mail = $.step("mail", { output: Schema.Void, run: () => void (isCareful ? (mails = 1) : mails++) })
    return $.sequence(charge, mail)
  })
const options = {
  before: () => {
    charges.clear()
    mails = 0
  },
  world: () => [[...charges.values()], mails],
}

test("charges once, whenever its process dies", async () => {
  expect(await crashEverywhere(checkout(true), { amount: 5 }, options)).toEqual({ commits: 3, crashes: 8, steps: ["charge", "mail"] })
  await expect(crashEverywhere(checkout(false), { amount: 5 }, options)).rejects.toThrow('Step "mail" is not idempotent.')
})
