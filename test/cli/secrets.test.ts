/** The canary of the command line: what its processes print, log and leave in files, also where they are killed. */
import { existsSync, writeFileSync } from "node:fs"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Canary from "../canary/Canary.ts"
import { type Folder, folder, until } from "./Fixture.ts"

/** Lets the secret out by every way that a program has to its terminal, and by what it stores. */
const source = `
import { existsSync, writeFileSync } from "node:fs"
import { Config, Context, Effect, Layer, Redacted, Schema } from "effect"
import { Smithers } from "smithers-orchestrator"

class Shop extends Context.Tag("Shop")() {}
const shop = Layer.effect(Shop, Effect.map(Config.redacted("SHOP"), (key) => ({ key: Redacted.value(key) })))
const ofShop = Effect.runSync(Effect.provide(Shop, shop)).key
console.log("shop", ofShop)
const secret = process.env.ANTHROPIC_API_KEY ?? ""
const base64 = Buffer.from("u:" + secret).toString("base64")
const late = process.env.LATE ?? ""
const flow = (name: string) => Smithers.createWorkflow({ name, input: Schema.Struct({}) })
const soft = { output: Schema.String, continueOnFail: true, retry: false } as const
const bare = new Error("inner " + base64, { cause: secret })
console.log("module", secret)

export const leak = flow("leak").build(($) =>
  $.sequence(
    $.step("prints", {
      output: Schema.Void,
      run: async () => {
        console.log("plain", secret, { secret, [secret]: [base64] }, new Error(secret))
        console.error("%s and %j", secret, { secret })
        console.table([{ secret }])
        process.stdout.write("whole " + secret + "\\n")
        process.stderr.write(Buffer.from("bytes " + secret + "\\n"))
        for (const character of "one by one " + secret + "!\\n") process.stdout.write(character)
        for (const character of "one by one " + base64 + "!\\n") process.stderr.write(character)
        process.stdout.write("no line end " + secret.slice(0, -1))
        process.stdout.write(secret.slice(-1))
      },
    }),
    $.step("logs", { output: Schema.Void, run: () => Effect.logWarning("warned of " + secret, bare) }),
    $.step("late", {
      ...soft,
      run: () => Effect.zipRight(Smithers.secret("LATE", late), Effect.fail(new Error("late " + late))),
    }),
    $.step("fails", { ...soft, run: () => Effect.fail(new Error("outer " + secret, { cause: bare })) }),
    $.step("returns", { ...soft, run: () => "Bearer " + secret }),
    $.approval("ok", { request: { title: "Use " + secret + "?", summary: base64 } }),
    $.step("dies", { output: Schema.String, retry: false, run: () => Effect.die(bare) }),
  ),
)
export const hang = flow("hang").build(($) =>
  $.sequence(
    $.step("before", { ...soft, run: () => Effect.fail(new Error(secret, { cause: bare })) }),
    $.step("hangs", {
      output: Schema.Void,
      run: async ({ heartbeat, attempt }) => {
        if (attempt > 1) return
        heartbeat({ secret, base64 })
        console.log("hanging", secret)
        await Bun.sleep(800)
        writeFileSync("hanging", "")
        await Bun.sleep(60_000)
      },
    }),
  ),
)
export const throws = flow("throws").build(($) =>
  $.step("later", {
    output: Schema.Void,
    run: async () => {
      setTimeout(() => {
        throw new Error("uncaught " + secret, { cause: bare })
      }, 10)
      await Bun.sleep(60_000)
    },
  }),
)
export default leak
`

// Each costs a score of processes.
const shapes = Canary.make().filter(({ name }) => name.endsWith("QUOTED") || name.endsWith("LONG"))
const late = { name: "LATE", value: `late-${crypto.randomUUID()}` }
/** Read by a service that is built when the file is loaded. */
const shop = { name: "SHOP", value: `shop-${crypto.randomUUID()}` }

describe.each(shapes)("a secret that a workflow lets out in the terminal: $name", (canary) => {
  let at: Folder
  const said: Array<string> = []
  const canaries = [canary, late, shop]
  const env = { ANTHROPIC_API_KEY: canary.value, LATE: late.value, SHOP: shop.value }
  const run = async (...args: ReadonlyArray<string>): Promise<string> => {
    const { stdout, stderr, code } = await at.start(args, { env }).result
    // The words of the caller are his own.
    const text = `${args[0]} -> ${code}\n${stdout}\n${stderr}`
    said.push(text)
    return text
  }
  /** The workflow reads the secret from its environment, so that its file does not hold it. */
  const clean = (): void => {
    expect(Canary.leaks(canaries, said.join("\n"))).toEqual([])
    expect(Canary.leaksBelow(canaries, at.path)).toEqual([])
  }

  beforeAll(() => {
    at = folder()
    writeFileSync(at.file("secret.ts"), source)
  })
  afterAll(() => at.remove())

  it("is found in nothing that commands print, as text and as JSON, and in no file", async () => {
    const text = await run("up", "secret.ts", "--run-id", "a")
    expect(text).toContain("[secret ANTHROPIC_API_KEY]")
    expect(text).toContain("shop [secret SHOP]")
    expect(text).toContain("one by one [secret ANTHROPIC_API_KEY]!")
    expect(text).toContain("no line end [secret ANTHROPIC_API_KEY]")
    expect(await run("up", "secret.ts", "--run-id", "b", "--json")).toContain("[secret ANTHROPIC_API_KEY]")
    for (const words of [["inspect", "a"], ["events", "a"], ["why", "a"], ["ps"], ["graph", "secret.ts"], ["node", "a", "fails"]]) {
      expect(await run(...words)).toContain("-> 0")
      await run(...words, "--json")
    }
    await run("approve", "a", "ok", "--note", `because of ${canary.value}`)
    expect(await run("up", "--run-id", "a", "--resume")).toContain("[secret ANTHROPIC_API_KEY]")
    await run("inspect", "a", "--json")
    await run("signal", "b", "go", "--payload", JSON.stringify({ secret: canary.value }))
    expect(await run("up", "secret.ts", "--run-id", canary.value)).toContain("-> 4")
    clean()
  })

  it("is found in no log of a run in the background, and not in the files of one that is killed", async () => {
    await run("up", "secret.ts#leak", "--run-id", "d", "--detach")
    await until(async () => (await run("inspect", "d", "--json")).includes('"waiting-approval"'), "the run waits")
    await run("logs", "d")
    const child = at.start(["up", "secret.ts#hang", "--run-id", "k"], { env })
    await until(() => existsSync(at.file("hanging")), "the step hangs")
    child.kill("SIGKILL")
    const { stdout, stderr } = await child.result
    said.push(stdout, stderr)
    clean()
    await run("inspect", "k", "--json")
    await run("supervise", "--once")
    await run("inspect", "k")
    clean()
  })

  it("is found in no line of a hot reload, whose new code fails with it", async () => {
    const child = at.start(["up", "secret.ts#hang", "--run-id", "h", "--hot"], { env })
    await until(() => child.said().stdout.includes("hanging"), "the step hangs")
    writeFileSync(at.file("secret.ts"), `${source}\nthrow new Error("broken " + secret, { cause: base64 })\n`)
    await until(
      () => child.said().stderr.includes("broken [secret ANTHROPIC_API_KEY]"),
      () => child.said().stderr,
    )
    child.kill("SIGKILL")
    const { stdout, stderr } = await child.result
    said.push(stdout, stderr)
    writeFileSync(at.file("secret.ts"), source)
    clean()
  })

  it("is found in no error that nothing catches", async () => {
    expect(await run("up", "secret.ts#throws", "--run-id", "t")).toContain("uncaught [secret ANTHROPIC_API_KEY]")
    expect(await run("up", "secret.ts#throws", "--run-id", "u", "--json")).toContain("uncaught [secret ANTHROPIC_API_KEY]")
    clean()
  })
})
