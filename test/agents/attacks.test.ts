/**
 * Attacks on the tools, one table of them, as root and as an ordinary user. None is stopped by a look at the text of a command: what stops them is how paths are
 * opened, and what the kernel shows a command. Those that do no harm are made without isolation too, to see that they get what they are after.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { hasBubblewrap } from "../sandbox/fixtures/here.ts"
import { attacks } from "./fixtures/attacks.ts"

const program = `${import.meta.dirname}/fixtures/attack.ts`
const isRoot = process.getuid?.() === 0

/** An ordinary user, which every machine has. */
const ordinary = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]

interface Outcome {
  readonly title: string
  readonly faults: ReadonlyArray<string>
}

const outcomesOf = async (isolation: string, as: ReadonlyArray<string> = []) => {
  const env = { ...process.env, SECRET_OF_RUNTIME: "v4riable-secret", HOME: "/tmp", XDG_CACHE_HOME: "/tmp" }
  const child = Bun.spawn([...as, process.execPath, program, isolation], { env, cwd: "/", stdout: "pipe", stderr: "pipe" })
  const [told, failed] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  if ((await child.exited) !== 0) throw new Error(failed)
  return JSON.parse(told) as { readonly outcomes: ReadonlyArray<Outcome>; readonly uid: number }
}

it("there are at least 80 attacks, each with a name of its own", () => {
  expect(attacks.length).toBeGreaterThanOrEqual(80)
  expect(new Set(attacks.map(({ title }) => title)).size).toBe(attacks.length)
})

describe.skipIf(!hasBubblewrap)("nothing is read, changed, reached, ended or left (needs the Debian package bubblewrap)", () => {
  const users: ReadonlyArray<readonly [user: string, as: ReadonlyArray<string>]> = isRoot
    ? [
        ["root", []],
        ["an ordinary user", ordinary],
      ]
    : [["the user of the test", []]]
  describe.each(users)("as %s, where a model", (user, as) => {
    let found: Awaited<ReturnType<typeof outcomesOf>>
    beforeAll(async () => {
      found = await outcomesOf("bubblewrap", as)
    }, 600_000)

    it.each(attacks)("$title", ({ title }) => {
      expect(found.outcomes.find((one) => one.title === title)).toMatchObject({ title, faults: [] })
    })

    it("was run by the user who was meant", () => {
      expect(found.uid === 0).toBe(user === "root" || (user === "the user of the test" && isRoot))
    })
  })
})

it("attacks that do no harm get what they are after where nothing isolates commands", async () => {
  const { outcomes } = await outcomesOf("none")
  const toothless = outcomes.filter(({ faults }) => faults.length === 0).map(({ title }) => title)
  expect(outcomes.length).toBeGreaterThan(15)
  // Hashes of passwords are shown to root alone, and not each machine has IPv6.
  const mayBe = ["reads hashes of passwords", "reads outside through /proc", "connects to it by IPv6"]
  expect(toothless.filter((title) => !mayBe.includes(title))).toEqual([])
})
