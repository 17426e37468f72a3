/** The check of fields that spreads bring into object literals, on programs of its own. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import ts from "typescript"
import { describe, expect, it, onTestFinished } from "vitest"
import { unknownFields } from "../../scripts/spreads.ts"

const declarations = `
declare const defined: <A extends object>(fields: A) => { readonly [K in keyof A]?: Exclude<A[K], undefined> }
interface Step { readonly id: string; readonly agentSpec?: string; readonly gate?: number }
type Event = { readonly _tag: "Started"; readonly at?: number } | { readonly _tag: "Ended"; readonly reason?: string }
declare const save: (step: Step) => void
declare const text: string | undefined
declare const count: number | undefined
`

/** The fields that the check refuses in a program. */
const refused = (program: string): ReadonlyArray<string> => {
  const folder = mkdtempSync(join(tmpdir(), "smithers-spreads-"))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  const file = join(folder, "program.ts")
  writeFileSync(file, `${declarations}${program}\nexport {}\n`)
  const made = ts.createProgram([file], {
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    types: [],
    lib: ["lib.es5.d.ts"],
  })
  // What is refused here is nothing that the compiler itself sees.
  expect(ts.getPreEmitDiagnostics(made).map(({ messageText }) => messageText)).toEqual([])
  return unknownFields(made).map((line) => line.replace(/^.*: (?=")/, ""))
}

describe("a field that a spread brings into a literal", () => {
  it("is refused under a name that the type does not have, which the compiler lets through", () => {
    expect(refused(`export const step: Step = { id: "a", ...defined({ ask: text, gate: count }) }`)).toEqual([
      '"ask" is no field of Step',
    ])
    expect(refused(`export const step = (): Step => ({ id: "a", ...(text === undefined ? {} : { ask: text }) })`)).toEqual([
      '"ask" is no field of Step',
    ])
    expect(refused(`const said = defined({ ask: text })\nsave({ id: "a", ...said })`)).toEqual(['"ask" is no field of Step'])
  })

  it("is held against the member of a union that the literal is", () => {
    expect(refused(`export const event: Event = { _tag: "Ended", ...defined({ at: count }) }`)).toEqual([
      '"at" is no field of Event',
    ])
    expect(refused(`export const event: Event = { _tag: "Started", ...defined({ at: count }) }`)).toEqual([])
  })

  it("is refused where it is passed as a whole, too", () => {
    expect(refused(`declare const find: (by: { readonly key?: string }) => void\nfind(defined({ key: text, kee: text }))`)).toEqual(
      ['"kee" is no field of { readonly key?: string; }'],
    )
  })

  it("is taken under each name of the type, and by a type with any names", () => {
    expect(refused(`save({ id: "a", ...defined({ agentSpec: text }), ...(count === undefined ? {} : { gate: count }) })`)).toEqual(
      [],
    )
    expect(refused(`export const any: { readonly [name: string]: unknown } = { id: "a", ...defined({ ask: text }) }`)).toEqual([])
  })
})
