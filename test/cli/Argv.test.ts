import { normalise, type Spelled } from "@smithers/cli/Argv"
import * as Catalog from "@smithers/cli/Catalog"
import { nearestWord } from "@smithers/core/Names"
import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"

const option = (name: string, kind: Spelled["kind"], more: Partial<Spelled> = {}): Spelled => ({
  name,
  kind,
  alias: undefined,
  isRepeated: false,
  ...more,
})
const options = [
  option("wait", "flag"),
  option("follow", "flag", { alias: "f" }),
  option("resume", "switch"),
  option("input", "value"),
  option("tag", "value", { isRepeated: true }),
]
const ordered = (...argv: ReadonlyArray<string>) => Either.getOrThrow(normalise(options, argv))
const refused = (...argv: ReadonlyArray<string>) => Either.getOrThrow(Either.flip(normalise(options, argv)))

describe("what people type", () => {
  it("may have options before, between and after arguments", () => {
    expect(ordered("a", "--input", "1", "b", "--wait")).toEqual(["--input", "1", "--wait", "--", "a", "b"])
  })

  it("says true or false of a flag, or nothing", () => {
    for (const said of [["--wait"], ["--wait", "true"], ["--wait=true"], ["--wait=yes"]])
      expect(ordered(...said)).toEqual(["--wait"])
    for (const said of [["--wait", "false"], ["--wait=0"], ["--no-wait"], ["--wait", "--no-wait"]])
      expect(ordered(...said)).toEqual([])
    expect(ordered("--wait", "file.tsx")).toEqual(["--wait", "--", "file.tsx"])
    expect(refused("--wait=maybe")).toBe('--wait must be true or false, not "maybe"')
  })

  it("may leave out the value of a switch", () => {
    expect(ordered("--resume")).toEqual(["--resume", "true"])
    expect(ordered("--resume", "--wait")).toEqual(["--resume", "true", "--wait"])
    expect(ordered("--resume", "m1abc")).toEqual(["--resume", "m1abc"])
    expect(ordered("--resume=false", "x")).toEqual(["--resume", "false", "--", "x"])
  })

  it("may give values that look like options, and the last of several counts", () => {
    expect(ordered("--input=--wait")).toEqual(["--input", "--wait"])
    expect(ordered("--input", "-")).toEqual(["--input", "-"])
    expect(ordered("--input", "a=b", "--input", "c=d")).toEqual(["--input", "c=d"])
    expect(ordered("--tag", "a", "x", "--tag=b")).toEqual(["--tag", "a", "--tag", "b", "--", "x"])
    expect(ordered("--", "--wait", "-f")).toEqual(["--", "--wait", "-f"])
    expect(ordered("-f", "-", "-3")).toEqual(["--follow", "--", "-", "-3"])
  })

  it("is refused with what was probably meant", () => {
    expect(refused("--inptu", "1")).toBe("There is no option --inptu. Did you mean --input?")
    expect(refused("--zzzzzz")).toBe("There is no option --zzzzzz.")
    expect(refused("--input")).toBe("--input needs a value")
  })
})

describe("words", () => {
  it("are near where few letters differ", () => {
    const names = Catalog.all.map(({ path }) => path[0])
    expect(nearestWord("aprove", names)).toBe("approve")
    expect(nearestWord("insp", names)).toBe("inspect")
    expect(nearestWord("qqqqqqq", names)).toBeUndefined()
  })
})
