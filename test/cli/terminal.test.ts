import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { shows } from "./Emulator.ts"
import { type Folder, folder, until } from "./Fixture.ts"

const bin = join(import.meta.dirname, "..", "..", "packages", "smithers", "src", "bin.ts")

let place: Folder
const terminals: Array<Bun.Terminal> = []
beforeEach(() => {
  place = folder()
})
afterEach(() => {
  // What a command printed last may be read after it has ended.
  for (const terminal of terminals.splice(0)) terminal.close()
  place.remove()
})

/** A command in a terminal of its own, as a person has one. */
const inTerminal = (...args: ReadonlyArray<string>) => inTerminalWith({}, ...args)

const inTerminalWith = (
  { cols = 100, ...more }: { readonly cols?: number; readonly [name: string]: string | number | undefined },
  ...args: ReadonlyArray<string>
) => {
  let text = ""
  const decoder = new TextDecoder()
  const terminal = new Bun.Terminal({
    cols,
    rows: 24,
    data: (_, data) => {
      text += decoder.decode(data, { stream: true })
    },
  })
  terminals.push(terminal)
  const { CI: _, SMITHERS_DB: __, ...env } = process.env
  const child = Bun.spawn([process.execPath, bin, ...args], { cwd: place.path, env: { ...env, TERM: "xterm", ...more }, terminal })
  return {
    seen: () => text,
    sees: (words: string | RegExp) =>
      until(
        () => (typeof words === "string" ? Bun.stripANSI(text).includes(words) : words.test(Bun.stripANSI(text))),
        () => `the terminal shows ${words}; it shows ${JSON.stringify(Bun.stripANSI(text).slice(-2000))}`,
      ),
    type: (keys: string) => terminal.write(keys),
    /** What Ctrl-C does where a terminal controls its processes, as this one does not. */
    interrupt: () => child.kill("SIGINT"),
    ended: child.exited,
  }
}

/** A step that does not let itself be stopped. */
const stubborn = `import { Smithers } from "smithers-orchestrator"
import { Effect, Schema } from "effect"
export default Smithers.createWorkflow({ name: "stubborn", input: Schema.Void }).build(($) =>
  $.step("one", { output: Schema.Void, run: () => Effect.uninterruptible(Effect.never) }))
`

const ctrlC = "\u0003"

const enter = "\r"

describe("in a terminal", () => {
  it("up draws what every node does over and over, and Ctrl-C leaves the lines and says how to go on", async () => {
    const up = inTerminal("up", "workflow.ts#slow", "--input", '{"gate":"never"}', "--run-id", "s")
    // Two times of one attempt: whatever the phase of the drawing, they grow.
    await up.sees(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] (second {2})(\d+\.\ds)\b[\s\S]*\1(?!\2)\d/)
    await up.sees("██████████░░░░░░░░░░ 1/2 done")
    up.interrupt()
    expect(await up.ended).toBe(130)
    // What a process wrote last may be read after its end.
    await up.sees("smithers up --resume s\r\n")
    expect(up.seen()).toContain("\u001b[J")
    const lines = Bun.stripANSI(up.seen()).split("\r\n")
    expect(lines.at(-2)).toBe("Stopped. Finished steps are stored. Resume the run: smithers up --resume s")
    expect((await place.run("why", "s")).stdout).toContain("was stopped")
  })

  it.each([100, 40])("Ctrl-C leaves the lines of what happened and how to go on, and nothing else, at %i columns", async (cols) => {
    const up = inTerminalWith({ cols }, "up", "workflow.ts#slow", "--input", '{"gate":"never"}', "--run-id", "s")
    await up.sees("1/2 done")
    // The terminal shows what was typed, as one does whose processes it controls.
    up.type(ctrlC)
    await up.sees("^C")
    up.interrupt()
    expect(await up.ended).toBe(130)
    await up.sees(/--resume\s+s\r\n/)
    const lines = shows(up.seen(), cols).filter((line) => line !== "")
    const stopped = "Stopped. Finished steps are stored. Resume the run: smithers up --resume s"
    const last = cols === 100 ? 1 : 2
    expect(lines.slice(-last).join("")).toBe(stopped)
    // Long lines of the log go over two of a narrow terminal.
    if (cols === 100) for (const line of lines.slice(0, -last)) expect(line).toMatch(/^(▶ run s|\[\d\d:\d\d:\d\d\] .*)$/)
    expect(lines.join("\n")).not.toContain("Stopping")
    expect(lines.join("\n")).not.toContain("1/2 done")
    expect(lines.join("\n")).not.toContain("^C")
  })

  it.each([
    ["40", undefined],
    ["200", "1"],
  ])("at %s columns no line is wider, and there are colours but where NO_COLOR is %s", async (cols, NO_COLOR) => {
    const up = inTerminalWith(
      { cols: Number(cols), ...(NO_COLOR === undefined ? {} : { NO_COLOR }) },
      "up",
      "workflow.ts#slow",
      "--input",
      '{"gate":"never"}',
      "--run-id",
      "s",
    )
    await up.sees(/second {2}\d/)
    up.interrupt()
    expect(await up.ended).toBe(130)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what is looked for.
    const coloured = /\u001b\[(?:2|3\d)m/
    if (NO_COLOR === undefined) expect(up.seen()).toMatch(coloured)
    else expect(up.seen()).not.toMatch(coloured)
    for (const line of Bun.stripANSI(up.seen()).split(/\r\n|\r/))
      if (/^(.*second {2}|[█░])/.test(line)) expect(Bun.stringWidth(line), line).toBeLessThan(Number(cols))
  })

  it("a run that another process works on is drawn as it goes on there, and says whose it is", async () => {
    const first = place.start(["up", "workflow.ts#slow", "--input", '{"gate":"open"}', "--run-id", "s"])
    await until(() => first.said().stderr.includes("→ second"), "it is at work")
    const second = inTerminal("up", "--resume", "s")
    await second.sees(`Process ${first.pid} on `)
    await second.sees(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] second {2}\d/)
    await second.sees("1/2 done")
    writeFileSync(place.file("open"), "")
    expect(await second.ended).toBe(0)
    await second.sees("finished after")
    expect(Bun.stripANSI(second.seen())).not.toContain("interrupted")
    expect((await first.result).code).toBe(0)
  })

  it("a second Ctrl-C leaves nothing of what was drawn either", async () => {
    writeFileSync(place.file("stubborn.ts"), stubborn)
    const up = inTerminal("up", "stubborn.ts", "--run-id", "s")
    await up.sees(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] one {2}0\.[4-9]s/)
    up.type(ctrlC)
    await up.sees("^C")
    up.interrupt()
    await up.sees("Stopping")
    up.type(ctrlC)
    await up.sees(/\^C[\s\S]*\^C/)
    up.interrupt()
    expect(await up.ended).toBe(130)
    await up.sees("smithers up --resume s\r\n")
    const lines = shows(up.seen(), 100).filter((line) => line !== "")
    expect(lines.at(-1)).toBe("Run s was not released. Finished steps are stored. Resume it: smithers up --resume s")
    expect(lines.join("\n")).not.toMatch(/Stopping|done|\^C/)
  })

  it.each([40, 80])("tables are as wide as the terminal has columns: %i", async (cols) => {
    await place.run(
      "up",
      "workflow.ts",
      "--input",
      '{"spec":"日本語のとても長い仕様"}',
      "--run-id",
      "a-run-with-a-name-of-some-length",
    )
    for (const args of [["ps"], ["inspect", "a-run"]]) {
      const command = inTerminalWith({ cols }, ...args)
      expect(await command.ended).toBe(0)
      await command.sees("…")
      const table = Bun.stripANSI(command.seen())
        .split("\r\n")
        .filter((line) => /^(RUN|NODE|a-r|impl|ok) /.test(line) || /^(a-run|implement|ok) /.test(line))
      expect(table.length).toBeGreaterThan(0)
      for (const line of table) expect(Bun.stringWidth(line), line).toBeLessThanOrEqual(cols)
    }
  })

  it("Ctrl-C says that a run is being stopped, which may take its time, and a second one how to take up what it leaves", async () => {
    writeFileSync(place.file("stubborn.ts"), stubborn)
    const up = inTerminal("up", "stubborn.ts", "--run-id", "s")
    await up.sees(/[⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏] one {2}0\.[4-9]s/)
    up.interrupt()
    await up.sees("Stopping: releasing the run. Press again to stop at once.")
    up.interrupt()
    expect(await up.ended).toBe(130)
    await up.sees("Run s was not released. Finished steps are stored. Resume it: smithers up --resume s\r\n")
    const json = place.start(["up", "--resume", "s", "--json"])
    await until(async () => (await place.run("logs", "s")).stdout.includes("→ one (attempt 2"), "it goes on")
    json.kill("SIGINT")
    json.kill("SIGTERM")
    const { stdout } = await json.result
    expect(JSON.parse(stdout)).toMatchObject({ error: { tag: "Interrupted", runId: "s", next: ["smithers up --resume s"] } })
  })

  it("output is cut to what a person reads", async () => {
    await place.run("up", "workflow.ts#loud", "--input", '{"size":100000}', "--run-id", "l")
    const output = inTerminal("output", "l")
    await output.sees("smithers output l --json shows all of it")
    expect(await output.ended).toBe(0)
    expect(output.seen().length).toBeLessThan(10_000)
  })

  it("answer asks for each field by its schema", async () => {
    await place.run("up", "workflow.ts#triage", "--run-id", "t")
    const answer = inTerminal("answer", "t", "rate", "--by", "ann")
    await answer.sees("How bad is it?")
    await answer.sees("severity")
    answer.type("\u001b[B")
    answer.type(enter)
    await answer.sees("score")
    answer.type(`seven${enter}`)
    await answer.sees("not a whole number")
    answer.type("\u007f".repeat(5))
    answer.type(`7${enter}`)
    await answer.sees("note")
    answer.type(enter)
    expect(await answer.ended).toBe(0)
    expect((await place.run("up", "--resume", "t")).code).toBe(0)
    expect((await place.json("output", "t")).value).toMatchObject({ output: { severity: "high", score: 7 } })
  })

  it("answer checks each field when it is given, and has no colours where there are to be none", async () => {
    writeFileSync(
      place.file("limits.ts"),
      `import { Smithers } from "smithers-orchestrator"
import { Schema } from "effect"
const Code = Schema.String.pipe(Schema.pattern(/^[A-Z]{3}$/))
export default Smithers.createWorkflow({ name: "limits", input: Schema.Void }).build(($) =>
  $.human("rate", { prompt: "Rate it", output: Schema.Struct({
    score: Schema.Int.pipe(Schema.between(1, 5)), code: Code, tags: Schema.Array(Schema.NonEmptyString), sure: Schema.Boolean,
  }) }))
`,
    )
    await place.run("up", "limits.ts", "--run-id", "l")
    const answer = inTerminalWith({ NO_COLOR: "1" }, "answer", "l", "rate", "--by", "ann")
    const corrects = async (field: string, wrong: string, complaint: string, right: string) => {
      await answer.sees(field)
      answer.type(`${wrong}${enter}`)
      await answer.sees(complaint)
      answer.type(`${"\u007f".repeat(wrong.length)}${right}${enter}`)
    }
    await corrects("score", "7", "7 is greater than 5", "5")
    await corrects("code", "abc", "does not match pattern", "ABC")
    await corrects("tags", '["a",""]', "too short", '["a"]')
    await answer.sees("sure")
    answer.type(enter)
    expect(await answer.ended).toBe(0)
    await answer.sees('Answered "rate"')
    // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what must not be there.
    expect(answer.seen()).not.toMatch(/\u001b\[(\d+;)*(3|4|9|10)\d(;\d+)*m/)
    expect((await place.run("up", "--resume", "l")).code).toBe(0)
    expect((await place.json("output", "l")).value).toMatchObject({
      output: { score: 5, code: "ABC", tags: ["a"], sure: false },
    })
  })

  it("answer is left with Ctrl-C, and nothing is sent", async () => {
    await place.run("up", "workflow.ts#triage", "--run-id", "t")
    const answer = inTerminal("answer", "t", "rate")
    await answer.sees("severity")
    answer.type(ctrlC)
    expect(await answer.ended).toBe(130)
    expect((await place.run("why", "t")).stdout).toContain("an answer to")
  })

  it("ps --watch shows what changes, until it is stopped", async () => {
    await place.run("up", "workflow.ts", "--input", '{"spec":"x"}', "--run-id", "w")
    const watch = inTerminal("ps", "--watch")
    await watch.sees("waiting")
    await place.run("cancel", "w")
    await place.run("up", "--resume", "w")
    await watch.sees("cancelled")
    watch.interrupt()
    expect(await watch.ended).toBe(130)
  })
})
