import * as Keys from "@smithers/ui/state/Keys"
import * as Url from "@smithers/ui/state/Url"
import * as Json from "@smithers/ui/text/Json"
import * as Lines from "@smithers/ui/text/Lines"
import * as Times from "@smithers/ui/text/Times"
import * as Marks from "@smithers/ui/travel/Marks"
import * as fc from "effect/FastCheck"
import { expect, it } from "vitest"

const query = fc.record(Object.fromEntries(Url.names.map((name) => [name, fc.string({ minLength: 1 })])), { requiredKeys: [] })

it("brings every place back from its address", () => {
  fc.assert(
    fc.property(fc.constantFrom(...Url.views), fc.string({ minLength: 1 }), query, (view, name, query) => {
      const hasId = view === "run" || view === "workflow"
      // A path has no empty parts, and dots are steps in it.
      fc.pre(!hasId || !/^\.{1,2}$/.test(name))
      const place: Url.Place = hasId ? { view, id: name, query } : { view, query }
      const [path = "", search = ""] = Url.format(place).split("?")
      expect(Url.parse(path, search)).toEqual(place)
    }),
  )
})

it("leads from unknown addresses to the runs, and ignores what it does not know", () => {
  expect(Url.parse("/nowhere/at/all", "?x=1&frame=3")).toEqual({ view: "runs", query: { frame: "3" } })
  expect(Url.parse("/runs/%E0%A4%A", "")).toEqual({ view: "run", id: "%E0%A4%A", query: {} })
  expect(Url.number("12")).toBe(12)
  for (const text of ["-1", "1.5", "x", "", undefined]) expect(Url.number(text)).toBeUndefined()
  expect(Url.tokenIn("#t=abc_-1")).toBe("abc_-1")
})

const press = (key: string, more: Partial<Keys.Press> = {}): Keys.Press => ({
  ...{ key, ctrlKey: false, metaKey: false, altKey: false, isWriting: false, isOnControl: false },
  ...more,
})

it("reads keys where they are meant, and none while somebody writes", () => {
  const inbox = new Set<Keys.Where>(["inbox", "list"])
  expect(Keys.read(press("a"), inbox, undefined)).toEqual({ command: "approve" })
  expect(Keys.read(press("a"), new Set<Keys.Where>(["run"]), undefined)).toEqual({})
  expect(Keys.read(press("a", { isWriting: true }), inbox, undefined)).toEqual({})
  expect(Keys.read(press("k", { metaKey: true, isWriting: true }), inbox, undefined)).toEqual({ command: "palette" })
  expect(Keys.read(press("d", { ctrlKey: true }), inbox, undefined)).toEqual({})
  expect(Keys.read(press("Enter", { isOnControl: true }), inbox, undefined)).toEqual({})
})

it("reads pairs of keys", () => {
  const first = Keys.read(press("g"), new Set(), undefined)
  expect(first).toEqual({ pending: "g" })
  expect(Keys.read(press("i"), new Set(), first.pending)).toEqual({ command: "goInbox" })
  expect(Keys.read(press("x"), new Set(), first.pending)).toEqual({})
})

it("gives each key one meaning in each place", () => {
  for (const where of ["list", "inbox", "run"] as const) {
    const keys = Keys.commands
      .filter((command) => command.where === "all" || command.where === where)
      .flatMap((command) => [...command.keys])
    expect(new Set(keys).size).toBe(keys.length)
  }
})

it("writes times and amounts as people read them", () => {
  expect([412, 3_210, 42_000, 245_000, 7_800_000, 273_600_000].map(Times.span)).toEqual([
    "412 ms",
    "3.2 s",
    "42 s",
    "4 min 05 s",
    "2 h 10 min",
    "3 d 4 h",
  ])
  expect(Times.ago(0, 12_000)).toBe("12 s ago")
  expect(Times.ago(180_000, 0)).toBe("in 3 min")
  expect(Times.ago(0, 300)).toBe("just now")
  expect([0, 0.00412, 12.3].map(Times.dollars)).toEqual(["$0", "$0.0041", "$12.30"])
  expect(Times.count(1_234_567)).toBe("1,234,567")
  expect([812, 4_200_000, 153_000].map(Times.bytes)).toEqual(["812 B", "4.2 MB", "153 kB"])
})

it("gives both texts back from their difference, whatever they are", () => {
  const text = fc.array(fc.constantFrom("a", "b", "c", "dd"), { maxLength: 30 }).map((lines) => lines.join("\n"))
  fc.assert(
    fc.property(text, text, (before, after) => {
      const lines = Lines.diff(before, after)
      const side = (without: Lines.Line["kind"]) =>
        lines
          .filter(({ kind }) => kind !== without)
          .map((line) => line.text)
          .join("\n")
      expect(side("added")).toBe(before)
      expect(side("removed")).toBe(after)
    }),
    { numRuns: 300 },
  )
})

it("finds the smallest difference, and leaves out what is the same for long", () => {
  const many = Array.from({ length: 50 }, (_, index) => `line ${index}`)
  const lines = Lines.diff(many.join("\n"), many.with(25, "changed").join("\n"))
  expect(lines.filter(({ kind }) => kind !== "same").map(({ kind, text }) => `${kind} ${text}`)).toEqual([
    "removed line 25",
    "added changed",
  ])
  expect(Lines.shorten(lines).filter((line) => line === null)).toHaveLength(2)
  expect(Lines.shorten(lines)).toHaveLength(10)
})

it("compares texts that have nothing in common in bounded time", () => {
  const text = (word: string) => Array.from({ length: 20_000 }, (_, index) => `${word} ${index}`).join("\n")
  expect(Lines.diff(text("old"), text("new"))).toHaveLength(40_000)
})

it("shows JSON of any depth as rows, and only what is open", () => {
  let deep: unknown = 1
  for (let level = 0; level < 20_000; level++) deep = { deep }
  expect(Json.rows(deep, () => true)).toHaveLength(20_001)
  expect(Json.rows({ a: [1, 2], b: { c: 3 } }, (_, depth) => depth < 1).map(({ name, size }) => [name, size])).toEqual([
    [undefined, 2],
    ["a", 2],
    ["b", 1],
  ])
  expect(Json.short({ a: { b: 1 }, c: "x" })).toBe('{ a: {…}, c: "x" }')
  expect(Json.pathText(["files", 2, "name"])).toBe("files[2].name")
})

const frame = (number: number, tags: ReadonlyArray<string>, more: Partial<Marks.FrameLike> = {}): Marks.Mark =>
  Marks.markOf({
    ...{ frame: number, at: number * 1_000, lastSeq: number * 2, forks: [], plan: { added: [], removed: [], changed: [] } },
    events: tags.map((_tag) => ({ _tag, nodeId: "a", iteration: 0 })) as unknown as Marks.FrameLike["events"],
    ...more,
  })

it("marks frames in which something failed, the plan changed, or a fork began", () => {
  const marks = [
    frame(1, ["RunStarted"], { plan: { added: ["a"], removed: [], changed: [] } }),
    frame(2, ["AttemptStarted"]),
    frame(3, ["AttemptFailed"]),
    frame(5, ["PlanChanged"], { plan: { added: ["b"], removed: [], changed: [] }, forks: ["other"] }),
  ]
  expect(marks.map(({ changesPlan, hasFailure, forks }) => [changesPlan, hasFailure, forks.length])).toEqual([
    [false, false, 0],
    [false, false, 0],
    [false, true, 0],
    [true, false, 1],
  ])
  expect(Marks.thinned(marks, 1_000).map(({ mark }) => mark.frame)).toEqual([3, 5])
  expect([0, 1, 4, 5, 99].map((number) => Marks.indexAt(marks, number))).toEqual([0, 0, 2, 3, 3])
  expect(Marks.nextFailure(marks, 1)?.frame).toBe(3)
  expect(Marks.nextFailure(marks, 3)?.frame).toBe(3)
})

it("marks are made of events alone until their frames are read: one for each frame, with its failures and waits", () => {
  const event = (seq: number, number: number, _tag: string) => ({
    ...{ seq, frame: number, at: 1_000 * number, text: `${_tag} ${seq}` },
    event: { _tag, nodeId: "a", iteration: 0 } as unknown as Marks.FrameLike["events"][number],
  })
  const marks = Marks.ofEvents([event(4, 2, "AttemptStarted"), event(5, 3, "AttemptFailed"), event(6, 3, "WaitStarted")])
  expect(marks).toMatchObject([
    { frame: 2, at: 2_000, seq: 4, hasFailure: false, hasWait: false, text: "AttemptStarted 4" },
    { frame: 3, at: 3_000, seq: 6, hasFailure: true, hasWait: true, failed: [{ nodeId: "a", iteration: 0 }] },
  ])
})
