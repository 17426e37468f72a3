/** Files of a workflow that are edited while its run is at work, by the command as a process. */
import { appendFileSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { dirname } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { type Folder, folder, until as wait } from "./Fixture.ts"

/** Waits for what a save leads to, which takes a tenth of a second on a quiet machine. */
const until: typeof wait = (condition, what) => wait(condition, what, 12_000)

let place: Folder
let running: ReturnType<Folder["start"]> | undefined
beforeEach(() => {
  place = folder()
})
afterEach(async () => {
  running?.kill("SIGKILL")
  await running?.result
  running = undefined
  place.remove()
})

const save = (name: string, text: string): void => {
  mkdirSync(dirname(place.file(name)), { recursive: true })
  writeFileSync(place.file(name), text)
}

/** A workflow of tasks, each of which waits for a file of its name and gives what `word` is. */
const workflow = (tasks: ReadonlyArray<string>, rest = "") => `import { createSmithers } from "smithers-orchestrator"
import { existsSync, appendFileSync } from "node:fs"
import { z } from "zod"
import { word } from "./lib/word.ts"
${rest}
const { Workflow, Task, Sequence, smithers, outputs } = createSmithers({ note: z.object({ text: z.string() }) })
const open = async (id: string) => {
  appendFileSync(${JSON.stringify(place.file("ran"))}, id + "\\n")
  while (!existsSync(${JSON.stringify(place.file("open-"))} + id)) await Bun.sleep(5)
  return { text: word }
}
export default smithers(() => (
  <Workflow name="edited">
    <Sequence>
      {${JSON.stringify(tasks)}.map((id) => <Task key={id} id={id} output={outputs.note} noRetry>{() => open(id)}</Task>)}
    </Sequence>
  </Workflow>
))
`

const word = (text: string): string => `export const word = ${JSON.stringify(text)}\n`

const open = (id: string): void => writeFileSync(place.file(`open-${id}`), "")
const ran = (): ReadonlyArray<string> =>
  existsSync(place.file("ran")) ? readFileSync(place.file("ran"), "utf8").trim().split("\n") : []

const said = (): string => running?.said().stderr ?? ""
const lines = (): ReadonlyArray<string> =>
  said()
    .split("\n")
    .map((line) => line.replace(/^\[[\d:]+\] /, ""))
const count = (line: string): number => lines().filter((one) => one === line).length

/** Starts the command, and waits until a task runs. */
const begin = async (task: string, ...args: ReadonlyArray<string>): Promise<void> => {
  running = place.start(["up", ...args, "--run-id", "r"])
  await until(
    () => said().includes(`→ ${task} `),
    () => `${task} runs: ${said()}`,
  )
}

const reloaded = (generation: number): Promise<void> =>
  until(
    () => count(`⟳ Workflow reloaded (generation ${generation})`) === 1,
    () => `generation ${generation}: ${said()}`,
  )

const refused = (text: string): Promise<void> =>
  until(
    () => lines().some((line) => line.startsWith("✗ Not reloaded") && line.includes(text)),
    () => `a refusal with ${text}: ${said()}`,
  )

const finish = async (...ids: ReadonlyArray<string>): Promise<{ readonly text: string }> => {
  for (const id of ids) open(id)
  const result = await running?.result
  expect(result?.code).toBe(0)
  return JSON.parse(result?.stdout.replace(/^[^{]*/, "") ?? "") as { readonly text: string }
}

describe("up --hot", () => {
  it.each([["--hot"], ["--hot", "true"]])("takes a save over while a task runs: %s %s", async (...option) => {
    save("workflow.tsx", workflow(["a", "b", "gone"]))
    save("lib/word.ts", word("old"))
    await begin("a", "workflow.tsx", ...option)
    save("workflow.tsx", workflow(["a", "b", "added"]))
    await reloaded(1)
    expect(lines()).toContain("⟳ File change detected: 1 file(s)")
    expect(lines()).toContain("  0 kept, 1 new, 1 gone")
    save("lib/word.ts", word("new"))
    await reloaded(2)
    expect(await finish("a", "b", "added")).toEqual({ text: "new" })
    expect(ran()).toEqual(["a", "b", "added"])
    const { value } = await place.json("node", "r", "a")
    // It ended with the code that it began with.
    expect(value).toMatchObject({ nodes: [{ output: { text: "old" } }], attempts: [{ attempt: 1 }] })
    expect((await place.json("node", "r", "b")).value).toMatchObject({ attempts: [{ codeGeneration: 2 }] })
    const { value: inspected } = await place.json("inspect", "r")
    expect(inspected).toMatchObject({
      generations: [0, 1, 2].map((generation) => ({ generation, code: { files: ["lib/word.ts", "workflow.tsx"] } })),
    })
    expect((await place.run("inspect", "r")).stdout).toMatch(/Code +generation 2 \([0-9a-f]{12}, 2 files\)/)
    const why = await place.json("why", "r")
    expect(why.value).toMatchObject({ code: { generation: 2 } })
    expect((await place.run("why", "r")).stdout).toContain("Code: generation 2 (")
  })

  it("without the option takes nothing over, and records nothing", async () => {
    save("workflow.tsx", workflow(["a", "b"]))
    save("lib/word.ts", word("old"))
    await begin("a", "workflow.tsx")
    save("lib/word.ts", word("new"))
    open("a")
    await until(() => ran().includes("b"), "b runs")
    expect(await finish("b")).toEqual({ text: "old" })
    expect((await place.json("inspect", "r")).value).not.toHaveProperty("generations")
  })

  it("takes prompts, texts and settings over as it does code", async () => {
    save("lib/word.ts", word("x"))
    save("prompts/ask.md", "Ask *nicely*.\n")
    save("prompts/tell.mdx", "Tell {props.name}.\n")
    save("settings.json", `{"tone":"calm"}`)
    const imports = `import Ask from "./prompts/ask.md"
import Tell from "./prompts/tell.mdx"
import settings from "./settings.json"
import { renderPlan } from "smithers-orchestrator"`
    const text = workflow(["a"], imports).replace(
      "</Sequence>",
      `<Task id="last" output={outputs.note} agent={{ generate: async ({ prompt }) => ({ text: JSON.stringify({ text: prompt }) }) }}><Ask /><Tell name="ann" />{settings.tone}</Task></Sequence>`,
    )
    save("workflow.tsx", text)
    await begin("a", "workflow.tsx", "--hot")
    save("prompts/ask.md", "Ask *boldly*.\n")
    await reloaded(1)
    save("prompts/tell.mdx", "Tell {props.name} all.\n")
    await reloaded(2)
    save("settings.json", `{"tone":"loud"}`)
    await reloaded(3)
    const { text: prompt } = await finish("a")
    for (const part of ["Ask *boldly*.", "Tell ann all.", "loud"]) expect(prompt).toContain(part)
  })

  it("follows each way in which editors save", async () => {
    save("workflow.tsx", workflow(["a"]))
    save("lib/word.ts", word("0"))
    await begin("a", "workflow.tsx", "--hot")
    const file = place.file("lib/word.ts")
    const ways: ReadonlyArray<(text: string) => void | Promise<void>> = [
      // In place.
      (text) => writeFileSync(file, text),
      // A new file over the old one.
      (text) => {
        writeFileSync(`${file}.tmp`, text)
        renameSync(`${file}.tmp`, file)
      },
      // A backup, then a new file.
      (text) => {
        renameSync(file, `${file}~`)
        writeFileSync(file, text)
        rmSync(`${file}~`)
      },
      // Emptied first.
      async (text) => {
        writeFileSync(file, "")
        await Bun.sleep(30)
        writeFileSync(file, text)
      },
      // In pieces.
      async (text) => {
        writeFileSync(file, text.slice(0, 10))
        await Bun.sleep(20)
        appendFileSync(file, text.slice(10))
      },
      // Once more, since a watch may have ended with the file.
      (text) => writeFileSync(file, text),
      // The folder is renamed away and made again.
      (text) => {
        renameSync(dirname(file), place.file("away"))
        mkdirSync(dirname(file))
        writeFileSync(file, text)
      },
      (text) => writeFileSync(file, text),
    ]
    for (const [index, way] of ways.entries()) {
      await way(word(String(index + 1)))
      await reloaded(index + 1)
    }
    expect(lines().filter((line) => line.startsWith("✗"))).toEqual([])
    // A file in a new folder, which the code comes to need.
    save("lib/word.ts", `export { word } from "./deep/er.ts"\n`)
    save("lib/deep/er.ts", word("deep"))
    await reloaded(ways.length + 1)
    save("lib/deep/er.ts", word("deeper"))
    await reloaded(ways.length + 2)
    await finish("a")
  })

  it("takes a burst of 200 files over at once, and what stands beside the code not at all", async () => {
    const names = Array.from({ length: 200 }, (_, index) => `lib/part${index}.ts`)
    for (const name of names) save(name, "export default 1\n")
    save(
      "lib/word.ts",
      `${names.map((_, index) => `import p${index} from "./part${index}.ts"`).join("\n")}\nexport const word = String(${names.map((_, index) => `p${index}`).join(" + ")})\n`,
    )
    save("workflow.tsx", workflow(["a", "b"]))
    await begin("a", "workflow.tsx", "--hot")
    for (let index = 0; index < 50; index++) save("lib/other.ts", String(index))
    save("notes.txt", "x")
    await Bun.sleep(500)
    expect(said()).not.toContain("File change detected")
    for (const name of names) save(name, "export default 2\n")
    await reloaded(1)
    await Bun.sleep(500)
    expect(count("⟳ File change detected: 200 file(s)")).toBe(1)
    expect(said()).not.toContain("generation 2")
    expect(await finish("a", "b")).toEqual({ text: "400" })
  })

  it("names a changed output schema, takes nothing of that save, and goes on once it is back", async () => {
    save("workflow.tsx", workflow(["a", "b"]))
    save("lib/word.ts", word("old"))
    await begin("a", "workflow.tsx", "--hot")
    save("workflow.tsx", workflow(["a", "b", "c"]).replace("text: z.string()", "text: z.string(), size: z.number()"))
    await refused('the schema of the output "note" changed, which needs a restart')
    save("workflow.tsx", workflow(["a", "b", "d"]))
    await reloaded(1)
    await finish("a", "b", "d")
    expect(ran()).toEqual(["a", "b", "d"])
  })

  it("names a changed database, and takes nothing over while it stands", async () => {
    save("workflow.tsx", workflow(["a", "b"]))
    save("lib/word.ts", word("old"))
    save(".env", "SMITHERS_DB=one.db\n")
    await begin("a", "workflow.tsx", "--hot")
    save("lib/word.ts", word("mid"))
    save(".env", "SMITHERS_DB=two.db\n")
    await refused('SMITHERS_DB changed from "one.db" to "two.db" in .env: another database needs a restart')
    save("lib/word.ts", word("new"))
    await until(() => lines().filter((line) => line.startsWith("✗")).length === 2, "the second save is refused")
    save(".env", "SMITHERS_DB=one.db\n")
    await reloaded(1)
    save("lib/word.ts", `process.env.SMITHERS_DB = "three.db"\n${word("x")}`)
    await refused('the code sets SMITHERS_DB to "three.db"')
    expect(await finish("a", "b")).toEqual({ text: "new" })
    expect(existsSync(place.file("two.db"))).toBe(false)
  })

  it("goes on after a kill in the middle of reloads, and loses nothing", async () => {
    const tasks = Array.from({ length: 12 }, (_, index) => `t${index}`)
    save("workflow.tsx", workflow(tasks))
    save("lib/word.ts", word("0"))
    for (const id of tasks.slice(0, 3)) open(id)
    await begin("t3", "workflow.tsx", "--hot")
    for (let life = 0; life < 3; life++) {
      let number = 0
      const saving = setInterval(() => save("lib/word.ts", word(`${life}.${number++}`)), 7)
      await until(() => /reloaded \(generation/.test(said()), "code is reloaded")
      await Bun.sleep(20 + life * 35)
      running?.kill("SIGKILL")
      await running?.result
      clearInterval(saving)
      save("lib/word.ts", word(`life ${life}`))
      open(`t${3 + life}`)
      running = place.start(["up", "--resume", "r", "--hot"])
      await until(
        () => said().includes(`→ t${4 + life} `),
        () => `the run goes on: ${said()}`,
      )
    }
    expect(await finish(...tasks)).toEqual({ text: "life 2" })
    // A task that had finished did not run again.
    for (const id of ["t0", "t1", "t2"]) expect(ran().filter((one) => one === id)).toHaveLength(1)
    expect((await place.run("db", "check")).code).toBe(0)
    const { value } = await place.json("inspect", "r")
    const { generations } = value as { readonly generations: ReadonlyArray<{ readonly generation: number }> }
    expect(generations.map(({ generation }) => generation)).toEqual(generations.map((_, index) => index))
  })

  it("prints nothing of it with --json", async () => {
    save("workflow.tsx", workflow(["a", "b"]))
    save("lib/word.ts", word("old"))
    running = place.start(["up", "workflow.tsx", "--hot", "--json", "--run-id", "r"])
    await until(() => ran().includes("a"), "a runs")
    save("lib/word.ts", word("new"))
    await until(async () => {
      const { value } = await place.json("inspect", "r")
      return JSON.stringify(value).includes('"generation":1')
    }, "the code is reloaded")
    open("a")
    open("b")
    const result = await running.result
    expect(result.stderr).toBe("")
    expect(JSON.parse(result.stdout)).toMatchObject({ status: "finished", output: { text: "new" } })
  })
})

describe("faults of a save", () => {
  const faults: ReadonlyArray<readonly [text: string, problem: string]> = [
    ["export const word =\n", "word.ts:1"],
    ["export const other = 1\n", 'No matching export in "lib/word.ts" for import "word"'],
    [`import { nothing } from "./missing.ts"\nexport const word = String(nothing)\n`, "Could not resolve"],
    [`import { nothing } from "no-such-package"\nexport const word = String(nothing)\n`, "no-such-package"],
    [`throw new Error("thrown at load")\nexport const word = "x"\n`, "thrown at load"],
    [`await Promise.reject(new Error("rejected at load"))\nexport const word = "x"\n`, "rejected at load"],
    ["", 'No matching export in "lib/word.ts" for import "word"'],
    ["export type word = string\n", "word"],
    // After this one the files themselves cannot be loaded any more.
    [`import { nothing } from "zod"\nexport const word = String(nothing)\n`, "Export named 'nothing' not found"],
  ]

  it("leave the old code running, with their place, and the next good save recovers, in every order of two", async () => {
    save("workflow.tsx", workflow(["a"]))
    save("lib/word.ts", word("0"))
    await begin("a", "workflow.tsx", "--hot")
    let generation = 0
    const fails = async ([text, problem]: (typeof faults)[number]): Promise<void> => {
      const before = lines().filter((line) => line.startsWith("✗ Not reloaded")).length
      save("lib/word.ts", text)
      const own = () =>
        lines()
          .filter((line) => line.startsWith("✗ Not reloaded"))
          .slice(before)
      await until(
        () => own().length > 0,
        () => `${text} is refused: ${said()}`,
      )
      expect(said().slice(said().lastIndexOf("✗ Not reloaded"))).toContain(problem)
    }
    const recovers = async (): Promise<void> => {
      save("lib/word.ts", word(`good ${++generation}`))
      await reloaded(generation)
    }
    for (const fault of faults) {
      await fails(fault)
      await recovers()
    }
    const last = faults.at(-1)
    const pairs = faults.flatMap((first) => faults.flatMap((second) => (first === second ? [] : [[first, second] as const])))
    for (const [first, second] of pairs.toSorted(
      (left, right) => Number(left.some((fault) => fault === last)) - Number(right.some((fault) => fault === last)),
    )) {
      await fails(first)
      await fails(second)
      await recovers()
    }
    // Of the workflow file itself.
    for (const [text, problem] of [
      [workflow(["a", "a"]), '"a"'],
      [workflow(["a"]).replace("export default", "const made ="), "no default export"],
      [workflow(["a"]).replace(`name="edited"`, `name="another"`), "another"],
      [workflow(["a"]).replace("<Sequence>", "<Sequence>{(() => { throw new Error('drawn badly') })()}"), "drawn badly"],
    ] as const) {
      save("workflow.tsx", text)
      await refused(problem)
      save("workflow.tsx", `${workflow(["a"])}// ${++generation}\n`)
      await reloaded(generation)
    }
    await finish("a")
    expect(ran()).toEqual(["a"])
  })
})
