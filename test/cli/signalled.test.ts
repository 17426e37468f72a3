/** What was said to a run and came to nothing is said by the run, with why. Each command is a process of its own. */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until } from "./Fixture.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

const write = (name: string, body: string) =>
  writeFileSync(
    place.file(`${name}.ts`),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
export default Smithers.createWorkflow({ name: "${name}", input: Schema.Struct({}) }).build(($) => ${body})
`,
  )
const begin = async (name: string) => expect((await place.run("up", `${name}.ts`, "--run-id", "r")).code).toBe(3)
const resume = () => place.run("up", "--resume", "r")
const why = async () => (await place.json("why", "r")).value as { readonly sentence: string; readonly signals: unknown }

const amount = "Schema.Struct({ amount: Schema.Number })"

describe("a signal that nobody takes", () => {
  it("for a slip in its name or its correlation is kept, which the sender is told at once, and why says", async () => {
    write("pays", `$.signal("in", { name: "paid", payload: ${amount}, correlation: () => "o-1" })`)
    await begin("pays")
    const slips: ReadonlyArray<readonly [words: ReadonlyArray<string>, said: string, why: string]> = [
      [
        ["payed", "--correlation", "o-1"],
        'signal "payed" with the correlation "o-1"',
        '"in" waits for "paid" with the correlation "o-1"',
      ],
      [
        ["paid", "--correlation", "o-2"],
        'signal "paid" with the correlation "o-2"',
        '"in" waits for it with the correlation "o-1", and this signal has "o-2"',
      ],
      [["paid"], 'signal "paid"', '"in" waits for it with the correlation "o-1", and this signal has none'],
      [["shipped"], 'signal "shipped"', ""],
    ]
    for (const [words, said, miss] of slips) {
      const sent = await place.run("signal", "r", ...words, "--data", '{"amount":1}')
      expect(sent.stdout.split("\n").slice(0, 2)).toEqual([
        `Sent ${said} to run r.`,
        `    No node waits for it now. It is stored${miss === "" ? "" : `: ${miss}`}.`,
      ])
    }
    expect((await place.json("signal", "r", "payed")).value).toMatchObject({
      isAwaited: false,
      awaits: [{ nodeId: "in", iteration: 0, name: "paid", correlation: "o-1" }],
    })
    await resume()
    const { sentence, signals } = await why()
    expect(sentence).toContain(
      [
        'Stored, and awaited by no node: the signal "payed" with the correlation "o-1" ("in" waits for "paid" with the correlation "o-1")',
        '"paid" with the correlation "o-2" ("in" waits for it with the correlation "o-1", and this signal has "o-2")',
        '"paid" ("in" waits for it with the correlation "o-1", and this signal has none)',
        '"shipped"',
        '"payed" ("in" waits for "paid" with the correlation "o-1").',
      ].join("; "),
    )
    expect(signals).toMatchObject([{ name: "payed", correlation: "o-1", refusals: [] }, {}, { correlation: null }, {}, {}])
    expect((await place.json("signal", "r", "paid", "--correlation", "o-1", "--data", '{"amount":1}')).value).toMatchObject({
      isAwaited: true,
    })
    expect((await resume()).code).toBe(0)
  })

  it("since it has a correlation and the wait has none never meets it, as both commands say", async () => {
    write("pays", `$.signal("in", { name: "paid", payload: ${amount} })`)
    await begin("pays")
    const miss = '"in" waits for it without a correlation, and this signal has "o-1"'
    expect((await place.run("signal", "r", "paid", "--correlation", "o-1", "--data", '{"amount":1}')).stdout).toContain(
      `No node waits for it now. It is stored: ${miss}.`,
    )
    expect((await resume()).code).toBe(3)
    expect((await why()).sentence).toContain(
      `Stored, and awaited by no node: the signal "paid" with the correlation "o-1" (${miss}).`,
    )
  })

  it("for what it carries is refused, also by a process that works on the run, and why says what was wrong", async () => {
    write("pays", `$.signal("in", { name: "paid", payload: ${amount} })`)
    const up = place.start(["up", "pays.ts", "--run-id", "r", "--wait"])
    await until(async () => (await place.run("why", "r")).stdout.includes('signal "paid"'), "it waits")
    expect((await place.run("signal", "r", "paid", "--data", '{"amount":"three"}')).stdout).toBe('Sent signal "paid" to run r.\n')
    await until(async () => (await why()).sentence.includes("Refused"), "it is refused")
    const { sentence, signals } = await why()
    expect(sentence).toMatch(/ Refused: the signal "paid" by "in" \(.*amount.*\)\.$/)
    expect(sentence).not.toContain("Kept")
    expect(signals).toMatchObject([
      { name: "paid", refusals: [{ nodeId: "in", iteration: 0, issues: [expect.stringContaining("amount")] }] },
    ])
    await place.run("signal", "r", "paid", "--data", '{"amount":3}')
    expect((await up.result).code).toBe(0)
  })
})

describe("a signal to a run whose child run waits for it", () => {
  it("is kept by that run, and both commands say where it is to be sent", async () => {
    writeFileSync(
      place.file("family.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
const child = Smithers.createWorkflow({ name: "child", input: Schema.Struct({}) }).build(($) => $.signal("in", { name: "paid", payload: Schema.Number }))
export default Smithers.createWorkflow({ name: "family", input: Schema.Struct({}) }).build(($) => $.subflow("sub", { workflow: child, input: () => ({}) }))
`,
    )
    await begin("family")
    const miss = '"in" of the child run r~sub~0 waits for it. Send the signal to that run'
    expect((await place.run("signal", "r", "paid", "--data", "3")).stdout).toContain(
      `No node waits for it now. It is stored: ${miss}.`,
    )
    expect((await resume()).code).toBe(3)
    expect((await why()).sentence).toContain(`Stored, and awaited by no node: the signal "paid" (${miss}).`)
    expect((await place.json("signal", "r~sub~0", "paid", "--data", "3")).value).toMatchObject({ isAwaited: true })
    expect((await resume()).code).toBe(0)
  })
})

describe("an answer that only the code can refuse", () => {
  it("is said to be refused, with why, wherever the question is asked again", async () => {
    write(
      "counts",
      `$.human("count", { prompt: "How many?", output: Schema.Number.pipe(Schema.filter((n) => n % 2 === 0 || "it is odd")) })`,
    )
    await begin("counts")
    expect((await place.run("answer", "r", "count", "--value", "3", "--by", "ann")).code).toBe(0)
    expect(await place.json("answer", "r", "count", "--value", "4")).toMatchObject({
      code: 4,
      value: { error: { tag: "AlreadyDecided", by: "ann", at: expect.any(Number) } },
    })
    const again = await resume()
    const refused = 'The last answer to "count" was refused: it is odd.'
    expect([again.code, again.stdout]).toEqual([3, expect.stringContaining(refused)])
    for (const view of [["inbox"], ["inspect", "r"], ["why", "r"]]) expect((await place.run(...view)).stdout).toContain(refused)
    expect((await place.run("answer", "r", "count", "--value", "4")).code).toBe(0)
    expect((await resume()).code).toBe(0)
  })
})

describe("nodes of a failed run whose failure it tolerates", () => {
  it("are listed with the command that runs them again, since resuming the run does not", async () => {
    const needs = (isMended: boolean) =>
      write(
        "needs",
        `{
  const a = $.step("a", { output: Schema.String, retry: false, continueOnFail: true, run: () => { ${isMended ? "" : 'throw new Error("no disk")'}; return "x" } })
  const b = $.step("b", { needs: { a }, output: Schema.String, retry: false, run: ({ a }) => { if (a === undefined) throw new Error("no a"); return a } })
  return $.sequence(a, b) }`,
      )
    needs(false)
    expect((await place.run("up", "needs.ts", "--run-id", "r")).code).toBe(1)
    needs(true)
    expect((await resume()).code).toBe(1)
    const said = (await place.json("why", "r")).value as { readonly sentence: string; readonly commands: ReadonlyArray<string> }
    expect(said).toMatchObject({ reason: "failed", commands: ["smithers up --resume r", "smithers retry r a"] })
    expect(said.sentence).toContain(
      '"a" (Error: no disk) has failed as well, which the workflow tolerates. Resuming the run does not retry it; "smithers retry" does.',
    )
    expect((await place.run("retry", "r", "a")).code).toBe(0)
    expect((await resume()).code).toBe(0)
  })
})
