/**
 * The conformance of isolations: what a policy allows works, and attacks get nothing, as root and as an ordinary user. Each attack that can be tried without
 * harm is tried without isolation as well, to see that it would have got something.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { allowed, attacks, type Case } from "./fixtures/cases.ts"
import { hasBubblewrap } from "./fixtures/here.ts"

const program = `${import.meta.dirname}/fixtures/run.ts`
const isRoot = process.getuid?.() === 0

interface Outcome {
  readonly title: string
  readonly exitCode?: number
  readonly error?: string
  readonly output: string
  readonly files: ReadonlyArray<readonly [path: string, text: string | null]>
}

/** An ordinary user, which every machine has. */
const ordinary = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

const outcomesOf = (isolation: string, as: ReadonlyArray<string> = []) => {
  const env = { ...process.env, SECRET_OF_PARENT: "SECRET_OF_PARENT", HOME: "/tmp", XDG_CACHE_HOME: "/tmp" }
  const child = Bun.spawnSync([...as, process.execPath, program, isolation], { env })
  expect(child.stderr.toString()).toBe("")
  return JSON.parse(child.stdout.toString()) as {
    readonly outcomes: ReadonlyArray<Outcome>
    readonly isAlive: boolean
    readonly uid: number
  }
}

/** What is wrong with an outcome; nothing where it is as the case says. */
const faults = (one: Case, { exitCode, error, output, files }: Outcome): ReadonlyArray<string> => {
  const expected = one.output
  const isAsSaid = expected === undefined || (typeof expected === "string" ? output === expected : expected.test(output))
  return [
    ...(error === undefined ? [] : [`failed: ${error}`]),
    ...(isAsSaid ? [] : [`output: ${JSON.stringify(output.slice(0, 300))}`]),
    ...(one.without !== undefined && output.includes(one.without) ? [`has ${one.without}`] : []),
    ...(one.exitCode !== undefined && one.exitCode !== exitCode ? [`exit code ${exitCode}`] : []),
    ...files.flatMap(([path, text]) => (text === (one.files?.[path] ?? null) ? [] : [`${path} is ${JSON.stringify(text)}`])),
  ]
}

describe.skipIf(!hasBubblewrap)("bubblewrap (needs the Debian packages bubblewrap and socat)", () => {
  const users: ReadonlyArray<readonly [user: string, as: ReadonlyArray<string>]> = isRoot
    ? [
        ["root", []],
        ["an ordinary user", ordinary],
      ]
    : [["the user of the test", []]]
  describe.each(users)("as %s", (user, as) => {
    let found: ReturnType<typeof outcomesOf>
    beforeAll(() => {
      found = outcomesOf("bubblewrap", as)
    })

    it.each(allowed)("a command $title", (one) => {
      expect(faults(one, found.outcomes.find(({ title }) => title === one.title) as Outcome)).toEqual([])
    })

    it.each(attacks)("nothing comes of $title", (one) => {
      expect(faults(one, found.outcomes.find(({ title }) => title === one.title) as Outcome)).toEqual([])
    })

    it("processes outside live on, and the user is who was meant", () => {
      expect(found.isAlive).toBe(true)
      expect(found.uid === 0).toBe(user === "root" || (user === "the user of the test" && isRoot))
    })
  })

  it("most attacks that do no harm get what they are after where nothing isolates them", () => {
    const { outcomes } = outcomesOf("none")
    const tried = attacks.filter(({ isHarmful }) => isHarmful !== true)
    const bites = tried.filter((one) => faults(one, outcomes.find(({ title }) => title === one.title) as Outcome).length > 0)
    // The others depend on the machine: what services it has, and whether its user may do this at all.
    expect(bites.length).toBeGreaterThanOrEqual(tried.length - 10)
    expect(bites.length).toBeGreaterThan(20)
  })
})
