/**
 * Commands that are printed to be copied, put through a real shell and the parser.
 */

import { normalise } from "@smithers/cli/Argv"
import { meant } from "@smithers/cli/actions/up"
import * as Catalog from "@smithers/cli/Catalog"
import { commandLine, type Option, resumeLine } from "@smithers/server/views/CommandLine"
import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"

/** Words that mean something else to a shell or to the parser, or are read as the name of something. */
const words = [
  ...["m1abc", "a=b", "=b", "true", "false", "--wait", "--help", "-h", "-x", "--json", "--", "-", "-1", "--run-id=other", ""],
  ...[
    "a b",
    "it's",
    '"',
    "$HOME",
    "$(id)",
    "`id`",
    "!!",
    "*",
    "~",
    "a;b",
    "a\nb",
    "\\",
    "#",
    "&",
    "üñ😀",
    "workflow.ts",
    "folder",
    ".",
    "..",
  ],
]

/** What a shell makes of a line. */
const typed = (line: string): ReadonlyArray<string> => {
  const { stdout } = Bun.spawnSync(["bash", "-c", `smithers() { printf '%s\\0' "$@"; }\n${line}`])
  return stdout.toString().split("\0").slice(0, -1)
}

/** What the parser is given of a line. */
const parsed = (line: string): ReadonlyArray<string> => {
  const argv = typed(line)
  const definition = Catalog.find(argv)
  if (definition === undefined) throw new Error(`no command in ${line}`)
  return Either.getOrThrow(normalise(definition.options, argv.slice(definition.path.length)))
}

describe("a command that is printed", () => {
  it("is passed on by a shell and by the parser as it is meant, whatever is in it", () => {
    for (const word of words) {
      const options: ReadonlyArray<Option> = [["data", word], ["correlation", word], "json"]
      const line = commandLine(word === "" ? undefined : word, "signal", [word, word], options)
      const shielded = word === "--" ? "\0--" : word
      const db = word === "" ? [] : ["--db", shielded]
      expect(parsed(line), line).toEqual(["--data", shielded, "--correlation", shielded, "--json", ...db, "--", word, word])
    }
  })

  it("resumes the run that is meant, whatever its id looks like", () => {
    for (const runId of words.filter((word) => word !== "")) {
      const line = resumeLine(undefined, runId)
      const normal = parsed(line)
      const takenBy = (name: string) => normal[normal.indexOf(name) + 1]?.replace(/^\0/, "")
      const given = {
        workflow: undefined,
        resume: normal.includes("--resume") ? takenBy("--resume") : undefined,
        runId: normal.includes("--run-id") ? takenBy("--run-id") : undefined,
      }
      expect(meant(given), line).toMatchObject({ right: { runId, target: undefined, isResume: true } })
    }
  })

  it("is as short as it can be where nothing can be mistaken", () => {
    expect(commandLine(undefined, "signal", ["r", "it's"], [["data", "{}"]])).toBe(`smithers signal r 'it'\\''s' --data '{}'`)
    expect(resumeLine("my.db", "m1abc")).toBe("smithers up --resume m1abc --db my.db")
    expect(resumeLine(undefined, "true")).toBe("smithers up --run-id true --resume")
    expect(resumeLine(undefined, "--help")).toBe("smithers up --run-id=--help --resume")
    expect(commandLine(undefined, "approve", ["-x"], [["node", "ok"]])).toBe("smithers approve --node ok -- -x")
  })
})
