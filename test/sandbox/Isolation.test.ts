/**
 * The conformance of the isolations, as root and as an ordinary user. Each attack that can be tried without harm is tried without isolation as well, to see that
 * it would have got something.
 */
import { expect, it } from "vitest"
import { conforms, faults, outcomesOf } from "./conformance.ts"
import { attacks } from "./fixtures/cases.ts"
import { hasBubblewrap, hasSandboxRuntime } from "./fixtures/here.ts"

conforms({
  name: "bubblewrap",
  module: "@smithers/sandbox/Bubblewrap",
  missing: hasBubblewrap ? undefined : "needs the Debian packages bubblewrap and socat",
})

conforms({
  name: "sandbox-runtime",
  module: "@smithers/sandbox/SandboxRuntime",
  missing: hasSandboxRuntime ? undefined : "needs the Debian packages bubblewrap, socat and ripgrep",
  isRefusedToRoot: true,
  skip: [{ reason: "the size of its /tmp is half of the memory", cases: ["filling the memory by /tmp"] }],
  differs: {
    "has a private /tmp": { reason: "it has a directory of its own below it", output: /^a\na\n/ },
    "has a HOME that it can write": { reason: "HOME is below its own directory", output: /^b\n\S+\/home\n$/ },
    "gaining capabilities": { reason: "it drops those in effect", output: /CapEff:\s0+\n/ },
  },
})

it("most attacks that do no harm get what they are after where nothing isolates them", async () => {
  const { outcomes } = await outcomesOf("none")
  const tried = attacks.filter(({ isHarmful }) => isHarmful !== true)
  const bites = tried.filter((one) => faults(one, outcomes.find(({ title }) => title === one.title) ?? missing).length > 0)
  // The others depend on the machine: what services it has, and whether its user may do this at all.
  expect(bites.length).toBeGreaterThanOrEqual(tried.length - 10)
  expect(bites.length).toBeGreaterThan(20)
})

const missing = { title: "", output: "", files: [] }
