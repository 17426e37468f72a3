/** A command that changes a run changes the one whose id was given, and no other that begins so. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"
import { inTerminal } from "./Terminal.ts"

let place: Folder
beforeAll(async () => {
  place = folder()
  expect((await place.run("up", "workflow.ts#pay", "--input", '{"order":"o42"}', "--run-id", "o42")).code).toBe(3)
  expect((await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "ship-1")).code).toBe(3)
  expect((await place.run("up", "workflow.ts", "--input", '{"spec":"y"}', "--run-id", "ship-2")).code).toBe(3)
  expect((await place.run("up", "workflow.ts#triage", "--run-id", "triage-1")).code).toBe(3)
})
afterAll(() => place.remove())

/** Everything that there is to know of a run. */
const stateOf = async (runId: string) => (await place.json("inspect", runId)).value

describe("how the id of a run begins", () => {
  const changing: ReadonlyArray<readonly [begins: string, runId: string, ...words: ReadonlyArray<string>]> = [
    ["o4", "o42", "signal", "o4", "paid", "--correlation", "o42", "--data", '{"amount":3}'],
    ["o4", "o42", "signal", "--data", '{"amount":3}', "o4", "paid"],
    ["o", "o42", "cancel", "o", "--reason", "no money"],
    ["o4", "o42", "pause", "o4"],
    ["o4", "o42", "unpause", "o4"],
    ["o4", "o42", "retry", "o4", "paid"],
    ["o4", "o42", "up", "--resume", "o4"],
    ["o4", "o42", "up", "--resume=o4"],
    ["o4", "o42", "up", "workflow.ts#pay", "--resume", "o4"],
    ["triage", "triage-1", "answer", "triage", "rate", "--value", '{"severity":"low","score":3}'],
    ["triage", "triage-1", "approve", "triage"],
    ["triage", "triage-1", "deny", "triage", "--node", "rate"],
  ]
  it.each(changing)("is not enough for a command that changes it: %s", async (begins, runId, ...words) => {
    const before = await stateOf(runId)
    const { code, value } = await place.json(...words)
    expect({ code, value }).toMatchObject({
      code: 4,
      value: { error: { tag: "NoSuchRun", runId: begins, candidates: [runId] } },
    })
    const { commands, message } = (value as { readonly error: { readonly commands: Array<string>; readonly message: string } })
      .error
    const quoted = words.map((word) => (/^[\w.=-]+$/.test(word) ? word : `'${word}'`))
    const at = quoted.findIndex((word) => word === begins || word === `--resume=${begins}`)
    const whole = quoted.map((word, index) => (index === at ? word.replace(begins, runId) : word))
    expect(commands).toEqual([`smithers ${[...whole, "--json"].join(" ")}`])
    expect(message).toContain(commands[0])
    expect(await stateOf(runId)).toEqual(before)
  })

  it("is not enough either where several begin so, which are named with their commands", async () => {
    const refused = await place.run("approve", "ship", "--by", "ann")
    expect(refused.code).toBe(4)
    expect(refused.stderr).toContain(
      "Did you mean one of these?\n  smithers approve ship-1 --by ann\n  smithers approve ship-2 --by ann\n",
    )
  })

  it("is enough for commands that read", async () => {
    for (const words of [
      ["why", "o4"],
      ["inspect", "o"],
      ["node", "o4", "paid"],
      ["logs", "o4"],
      ["events", "o4"],
      ["graph", "o4"],
    ])
      expect((await place.run(...words)).code, words.join(" ")).toBe(0)
    expect((await place.json("why", "ship")).value).toMatchObject({ error: { tag: "AmbiguousRun" } })
  })

  it("in a terminal is asked about before anything is changed", async () => {
    const asked = async (answer: string) => {
      const pause = inTerminal(place, "pause", "o4")
      await pause.sees('There is no run "o4". Is o42 (workflow pay, waiting-event) meant?')
      pause.type(answer)
      return pause.ended
    }
    const before = await stateOf("o42")
    expect(await asked("n")).toBe(4)
    expect(await stateOf("o42")).toEqual(before)
    expect(await asked("y")).toBe(0)
    expect((await place.json("why", "o42")).value).toMatchObject({ reason: "pending-command" })
  })
})
