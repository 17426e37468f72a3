/** An answer is held against its schema by one reader, wherever it is given: field by field in a terminal, or whole. */
import { writeFileSync } from "node:fs"
import { afterEach, beforeEach, expect, it } from "vitest"
import { type Folder, folder } from "./Fixture.ts"
import { inTerminal } from "./Terminal.ts"

let place: Folder
beforeEach(() => {
  place = folder()
})
afterEach(() => place.remove())

it("limits beside a reference are said in the same words in a terminal and of a whole answer, before anything is sent", async () => {
  writeFileSync(
    place.file("rates.ts"),
    `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
const Rating = Schema.Int.annotations({ identifier: "Rating" })
export default Smithers.createWorkflow({ name: "rates", input: Schema.Struct({}) }).build(($) =>
  $.human("rate", { prompt: "Rate it", output: Schema.Struct({
    stars: Rating.pipe(Schema.between(1, 5)), slug: Schema.String.pipe(Schema.pattern(/^[\\w-.]+$/)), parts: Schema.Tuple(Rating.pipe(Schema.between(1, 5)), Schema.Boolean) }) }))
`,
  )
  expect((await place.run("up", "rates.ts", "--run-id", "r")).code).toBe(3)
  const whole = await place.json("answer", "r", "rate", "--value", '{"stars":99,"slug":"a","parts":[99,true]}')
  expect(whole).toMatchObject({
    code: 4,
    value: { error: { tag: "InvalidAnswer", issues: ["stars: 99 is greater than 5", "parts.0: 99 is greater than 5"] } },
  })
  const answer = inTerminal(place, "answer", "r", "rate", "--by", "ann")
  const corrects = async (field: string, wrong: string, complaint: string, right: string) => {
    await answer.sees(field)
    answer.type(`${wrong}\r`)
    await answer.sees(complaint)
    answer.type(`${"\u007f".repeat(wrong.length)}${right}\r`)
  }
  await corrects("stars", "99", "99 is greater than 5", "5")
  await answer.sees("slug")
  answer.type("a-b.c\r")
  await corrects("parts", "[99,true]", "0: 99 is greater than 5", "[5,true]")
  expect(await answer.ended).toBe(0)
  expect((await place.run("up", "--resume", "r")).code).toBe(0)
  expect((await place.json("output", "r")).value).toMatchObject({ output: { stars: 5, slug: "a-b.c", parts: [5, true] } })
})
