/** Patches by the lines around changes, and the ends of lines that a change keeps. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as ToolRules from "@smithers/agents/ToolRules"
import * as ToolSession from "@smithers/agents/ToolSession"
import { applyPatch } from "@smithers/agents/tools"
import * as Edits from "@smithers/agents/tools/Edits"
import * as Patch from "@smithers/agents/tools/Patch"
import * as Effect from "effect/Effect"
import { describe, expect, it } from "vitest"

const patch = (...lines: ReadonlyArray<string>) => ["*** Begin Patch", ...lines, "*** End Patch"].join("\n")

/** A text after the changes of one file, or the problem. */
const changed = (text: string, ...lines: ReadonlyArray<string>): string => {
  const parsed = Patch.parse(patch("*** Update File: a", ...lines))
  if ("problem" in parsed) return parsed.problem
  const [file] = parsed
  if (file?.kind !== "update") return "no update"
  const result = Patch.apply(text, file.hunks)
  return "problem" in result ? result.problem : result.text
}

const functions = "fn a\n  one\n  end\nfn b\n  one\n  end\n"

describe("a patch", () => {
  it("adds, deletes, updates and moves files", () => {
    expect(
      Patch.parse(
        patch(
          "*** Add File: n.txt",
          "+one",
          "+",
          "*** Delete File: o.txt",
          "*** Update File: u.txt",
          "*** Move to: m.txt",
          "-a",
          "+b",
        ),
      ),
    ).toEqual([
      { kind: "add", path: "n.txt", text: "one\n\n" },
      { kind: "delete", path: "o.txt" },
      { kind: "update", path: "u.txt", to: "m.txt", hunks: [{ below: undefined, old: ["a"], new: ["b"], isAtEnd: false }] },
    ])
  })

  it.each([
    ["*** Update File: a\n-x\n+y", /begins with "\*\*\* Begin Patch"/],
    [patch("-x", "+y"), /Line 2 of the patch names no file/],
    [patch("*** Add File: a", "x"), /Line 3 of the patch is of a new file and does not begin with \+/],
    [patch("*** Delete File: a", "-x"), /Line 2 of the patch deletes a file, and has lines below it/],
    [patch("*** Update File: a", "1: x"), /Line 3 of the patch begins with none of space, -, \+ and @@/],
    [patch("*** Update File: a"), /Line 2 of the patch changes nothing of a/],
    [patch("*** Update File: a", "-x", "*** Delete File: a"), /Line 4 of the patch names a again/],
    [patch(), /names no file/],
  ])("that is malformed is refused with the line: %j", (text, problem) => {
    expect(Patch.parse(text)).toEqual({ problem: expect.stringMatching(problem) })
  })

  it("changes lines that stand in one place, in the order of the file", () => {
    expect(changed("a\nb\nc\nd\n", " a", "-b", "+B", "@@", "-d", "+D", "+e")).toBe("a\nB\nc\nD\ne\n")
    expect(changed("a\nb\n", "@@", "-b", "+c", "@@", "-a", "+z")).toMatch(
      /Change 2 of 2: the lines from "a" on do not stand in the file there/,
    )
  })

  it("is told by the line after @@ which of equal places is meant", () => {
    expect(changed(functions, "-  one", "+  two")).toMatch(
      /the lines from " {2}one" on stand in 2 places, in lines 2, 5: give more/,
    )
    expect(changed(functions, "@@ fn b", "-  one", "+  two")).toBe("fn a\n  one\n  end\nfn b\n  two\n  end\n")
    expect(changed(functions, "@@ fn b @@", "+  zero")).toBe("fn a\n  one\n  end\nfn b\n  zero\n  one\n  end\n")
    expect(changed(functions, "@@ one", "-  end")).toMatch(/the line after @@, "one", stands in lines 2, 5\./)
    expect(changed(functions, "@@ fn c", "-  end")).toMatch(/the line after @@, "fn c", does not stand in the file/)
  })

  it("guesses nothing: other spaces, quotes or parts of lines are other lines", () => {
    for (const line of ["- one", "-  one ", "-  on", "-one", "-  “one”"])
      expect(changed("  one\n", line)).toMatch(/do not stand in the file as they are. Nothing was changed/)
    expect(changed("a\n", "+b")).toMatch(/only lines that are added/)
  })

  it("changes the end of a file, and keeps a last line without an end", () => {
    expect(changed("a\nb", "-b", "+c", "+d")).toBe("a\nc\nd")
    expect(changed("a\nb", "+c", "*** End of File")).toBe("a\nb\nc\n")
    expect(changed("a\nb\na\n", "-a", "+c", "*** End of File")).toBe("a\nb\nc\n")
    expect(changed("", "+a")).toBe("a\n")
    expect(changed("a\n\nb\n", " a", "", "-b", "+c")).toBe("a\n\nc\n")
  })

  it("keeps the end of each line that it keeps, and ends new lines as those beside them", () => {
    expect(changed("a\r\nb\nc\r\n", " a", "-b", "+B", "+B2", " c")).toBe("a\r\nB\nB2\nc\r\n")
    expect(changed("a\r\nb\r\n", " a", "+x", " b")).toBe("a\r\nx\r\nb\r\n")
    expect(changed("a\nb\r\nc\n", "-b", "+x")).toBe("a\nx\r\nc\n")
  })
})

describe("a patch that a crash cut off", () => {
  const input = { input: patch("*** Update File: a", "-a", "+A", "*** Add File: b", "+b") }
  /** What becomes of it where files are like this after the crash. */
  const recovered = async (after: { readonly [path: string]: string }) => {
    const root = mkdtempSync(join(tmpdir(), "smithers-patch-"))
    try {
      writeFileSync(join(root, "a"), "a\n")
      const session = ToolSession.make({ root })
      session.seen.set("a", session.files.read("a").hash)
      const rules = ToolRules.of(applyPatch)
      const call = { tool: "apply_patch", toolCallId: "c", input }
      const given = (ask: () => Effect.Effect<unknown>) =>
        ToolSession.within(
          () => session,
          () => Effect.runPromise(ask()),
        )
      const snapshot = await given(() => rules.snapshot?.(call) ?? Effect.void)
      expect(readFileSync(join(root, "a"), "utf8")).toBe("a\n")
      for (const [path, text] of Object.entries(after)) writeFileSync(join(root, path), text)
      return await given(() => rules.recover({ ...call, snapshot: JSON.parse(JSON.stringify(snapshot)) }))
    } finally {
      rmSync(root, { recursive: true })
    }
  }

  it("is made again where nothing was changed, is over where all was, and else its outcome is not known", async () => {
    expect(await recovered({})).toBe("rerun")
    expect(await recovered({ a: "A\n", b: "b\n" })).toEqual({ output: "Patched a, b." })
    expect(await recovered({ a: "A\n" })).toBe("unknown")
    expect(await recovered({ a: "other\n" })).toBe("unknown")
  })
})

describe("an edit", () => {
  const edited = (text: string, old: string, replacement: string, replaceAll = false): string => {
    const result = Edits.apply(text, [{ old, new: replacement, replaceAll }])
    return "problem" in result ? result.problem : result.text
  }

  it("in a file with both ends of lines leaves each line with its own", () => {
    const mixed = "a\r\nb\nc\r\nd\n"
    expect(edited(mixed, "b\nc", "b\nx\nc")).toBe("a\r\nb\nx\nc\r\nd\n")
    expect(edited(mixed, "a\nb\nc\n", "a\nb2\nc\n")).toBe("a\r\nb2\nc\r\nd\n")
    expect(edited(mixed, "b", "b\nnew")).toBe("a\r\nb\nnew\nc\r\nd\n")
    expect(edited(mixed, "c", "c\nnew")).toBe("a\r\nb\nc\r\nnew\r\nd\n")
    expect(edited("x\r\nx\nend", "x\n", "y\nz\n", true)).toBe("y\r\nz\r\ny\nz\nend")
    expect(edited("a\r\nb", "b", "b\nc")).toBe("a\r\nb\r\nc")
  })
})
