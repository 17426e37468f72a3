/**
 * The conformance of isolations, as a function of an implementation: what a policy allows works, and attacks get nothing. The cases run in a process of
 * their own, so that they can be those of another user.
 */
import { beforeAll, describe, expect, it } from "vitest"
import { allowed, attacks, type Case } from "./fixtures/cases.ts"
import { ordinary } from "./fixtures/here.ts"

const program = `${import.meta.dirname}/fixtures/run.ts`
const isRoot = process.getuid?.() === 0

/** An isolation under test. */
export interface Implementation {
  readonly name: string
  /** The module that exports its `layer`, by the name by which `fixtures/run.ts` imports it. */
  readonly module: string
  /** The reason that it cannot be had on this machine; `undefined` where it can. */
  readonly missing?: string | undefined
  /** `true` for one that root cannot have: its layer fails with `IsolationUnavailable`. Default: false. */
  readonly isRefusedToRoot?: boolean
  /** Cases that it does not fulfil, each with the reason. */
  readonly skip?: ReadonlyArray<{ readonly reason: string; readonly cases: ReadonlyArray<string> }>
  /** Cases whose outcome it shows in another way. */
  readonly differs?: { readonly [title: string]: Pick<Case, "output"> & { readonly reason: string } }
}

interface Outcome {
  readonly title: string
  readonly exitCode?: number
  readonly error?: string
  readonly output: string
  readonly files: ReadonlyArray<readonly [path: string, text: string | null]>
}

/** Runs all cases under an isolation. */
export const outcomesOf = async (module: string, as: ReadonlyArray<string> = []) => {
  const env = { ...process.env, SECRET_OF_PARENT: "SECRET_OF_PARENT", HOME: "/tmp", XDG_CACHE_HOME: "/tmp" }
  // Not in the work tree: some isolations leave files in the directory of their process.
  const child = Bun.spawn([...as, process.execPath, program, module], { env, cwd: "/tmp", stdout: "pipe", stderr: "pipe" })
  const [printed, failed] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()])
  expect(failed).toBe("")
  return JSON.parse(printed) as {
    readonly outcomes: ReadonlyArray<Outcome>
    readonly isAlive: boolean
    readonly uid: number
  }
}

/** What is wrong with an outcome; nothing where it is as the case says. */
export const faults = (one: Case, { exitCode, error, output, files }: Outcome): ReadonlyArray<string> => {
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

const users: ReadonlyArray<readonly [user: string, as: ReadonlyArray<string>]> = isRoot
  ? [
      ["root", []],
      ["an ordinary user", ordinary],
    ]
  : [["the user of the test", []]]

/** Declares the tests of an isolation, as root and as an ordinary user where the tests run as root. */
export const conforms = ({ name, module, missing, isRefusedToRoot = false, skip = [], differs = {} }: Implementation): void => {
  const known = [...allowed, ...attacks].map(({ title }) => title)
  const named = [...skip.flatMap(({ cases }) => cases), ...Object.keys(differs)]
  const reasonOf = (title: string): string | undefined => skip.find(({ cases }) => cases.includes(title))?.reason

  describe.skipIf(missing !== undefined)(`${name}${missing === undefined ? "" : ` (${missing})`}`, () => {
    it("skips and changes cases that there are", () => {
      expect(named.filter((title) => !known.includes(title))).toEqual([])
    })

    it.skipIf(!isRefusedToRoot || !isRoot)("is refused to root, and starts nothing", async () => {
      expect([...new Set((await outcomesOf(module)).outcomes.map(({ error }) => error))]).toEqual(["IsolationUnavailable"])
    })

    const held = users.filter(([user]) => !isRefusedToRoot || user !== "root")
    describe.each(held)("as %s", (user, as) => {
      let found: Awaited<ReturnType<typeof outcomesOf>>
      beforeAll(async () => {
        found = await outcomesOf(module, as)
      })
      const check = (one: Case): void => {
        const { output } = { ...one, ...differs[one.title] }
        const expected = output === undefined ? one : { ...one, output }
        expect(faults(expected, found.outcomes.find(({ title }) => title === one.title) as Outcome)).toEqual([])
      }
      for (const [how, cases] of [
        ["a command", allowed],
        ["nothing comes of", attacks],
      ] as const)
        for (const one of cases) {
          const reason = reasonOf(one.title)
          it.skipIf(reason !== undefined)(`${how} ${one.title}${reason === undefined ? "" : ` (${reason})`}`, () => check(one))
        }

      it("processes outside live on, and the user is who was meant", () => {
        expect(found.isAlive).toBe(true)
        expect(found.uid === 0).toBe(user === "root" || (user === "the user of the test" && isRoot))
      })
    })
  })
}
