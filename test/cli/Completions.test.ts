import * as Catalog from "@smithers/cli/Catalog"
import * as Completions from "@smithers/cli/Completions"
import { describe, expect, it } from "vitest"

/** What a real bash offers at the end of a line. */
const offered = (line: string): ReadonlyArray<string> => {
  // Bash takes "=" for a word of its own.
  const words = line.split(/ |(=)/).filter((word) => word !== undefined)
  const script = `${Completions.bash(Catalog.all)}
COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})
COMP_CWORD=${words.length - 1}
_smithers
printf '%s\\n' "\${COMPREPLY[@]}"`
  const { stdout, stderr } = Bun.spawnSync(["bash", "-c", script], { cwd: import.meta.dirname })
  expect(stderr.toString()).toBe("")
  return stdout
    .toString()
    .split("\n")
    .filter((word) => word !== "")
}

describe("bash", () => {
  it("is offered the commands, and the second words of those that have two", () => {
    expect([...offered("smithers ")].sort()).toEqual([...new Set(Catalog.all.map(({ path }) => path[0]))].sort())
    expect(offered("smithers ap")).toEqual(["approve"])
    expect(offered("smithers -")).toEqual(["--json", "--db", "--help", "--version"])
    expect(offered("smithers db ")).toEqual(["path", "check", "vacuum", "prune"])
    expect(offered("smithers --db x.db workflow c")).toEqual(["create"])
  })

  it("is offered the options of the command, and no others", () => {
    for (const { path, options } of Catalog.all) {
      const names = options.flatMap(({ name, alias }) => [`--${name}`, ...(alias === undefined ? [] : [`-${alias}`])])
      expect([...offered(`smithers ${path.join(" ")} -`)].sort(), path.join(" ")).toEqual([...names, "--help"].sort())
    }
  }, 30_000)

  it("is offered values one by one, after a space and after a =", () => {
    expect(offered("smithers ps --status ")).toContain("waiting-approval")
    expect(offered("smithers ps --status=waiting-a")).toEqual(["waiting-approval"])
    expect(offered("smithers ps --status=")).toContain("paused")
    expect(offered("smithers events r --type AttemptF")).toEqual(["AttemptFailed"])
    expect(offered("smithers completions ")).toEqual(["bash", "zsh", "fish"])
    expect(offered("smithers graph x --format m")).toEqual(["mermaid"])
  })

  it("is offered files where a file is meant, and nowhere else", () => {
    expect(offered("smithers up Comp")).toEqual(["Completions.test.ts"])
    expect(offered("smithers ps --db Comp")).toEqual(["Completions.test.ts"])
    expect(offered("smithers ps --limit ")).not.toContain("Completions.test.ts")
    expect(offered("smithers why Comp")).toEqual([])
  })
})

describe("zsh and fish", () => {
  it("are told of every command and every option", () => {
    for (const script of [Completions.zsh(Catalog.all), Completions.fish(Catalog.all)]) {
      for (const { path, options } of Catalog.all) {
        expect(script).toContain(`'${path.join(" ")}'`.replaceAll("'", script.startsWith("#compdef") ? "'" : "\\'"))
        for (const { name } of options) expect(script).toMatch(new RegExp(`(--|-l )${name}\\b`))
      }
      expect(script).not.toMatch(/wizard|log-level|undefined/)
    }
  })
})
