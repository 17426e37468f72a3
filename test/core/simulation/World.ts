/** What the world says to a run, of what it waits for: the scenario has what is said, chance has when. */
import type { Command } from "@smithers/core/Inbox"
import type * as Random from "@smithers/testing/Random"
import { type Index, index, type Scenario, type Spec, type WaitSpec } from "./Scenario.ts"

/** A wait that is open. */
interface Asked {
  readonly nodeId: string
  readonly iteration: number
  /** What was said and is not looked at yet; nothing more is said until it is. */
  readonly isAnswered: boolean
}

export interface World {
  /** Something to say now, if anything may be said. Somebody may also pause the run, and will unpause it. */
  readonly say: (open: ReadonlyArray<Asked>, isPaused: boolean) => Command | undefined
}

/** What a signal carries, and people answer. */
export const given = (label: string) => ({ from: label, row: "7", seen: "said" })

const isAnswering = (spec: Spec): spec is WaitSpec => spec.kind === "wait" && spec.verdict === "yes"

const verdictOf = (plan: Index, label: string) => {
  const spec = plan.find(label)
  return spec.kind === "wait" ? spec.verdict : spec.kind === "step" ? spec.gate?.verdict : undefined
}

export const make = ({ root }: Scenario, random: Random.Random): World => {
  const plan = index(root)
  const signals = plan.nodes.filter(isAnswering).filter(({ on }) => on === "signal")
  let early = 5
  let pauses = random.pick([0, 0, 1, 2])
  const signal = (name: string): Command => {
    const [correlation, payload] = random.pick([
      ["mine", given(name)],
      ["mine", given(name)],
      ["mine", given(name)],
      ["other", given(name)],
      ["mine", "not at all"],
    ] as const)
    return { _tag: "Signal", name, correlation, payload }
  }
  return {
    say: (open, isPaused) => {
      if (isPaused && random.chance(0.4)) return { _tag: "Unpause" }
      if (!isPaused && pauses > 0 && random.chance(0.2)) {
        pauses--
        return { _tag: "Pause" }
      }
      if (early > 0 && signals.length > 0 && random.chance(0.3)) {
        early--
        return signal(random.pick(signals).label)
      }
      const silent = (nodeId: string): boolean => (verdictOf(plan, nodeId) ?? "silent") === "silent"
      const asked = open.filter(({ nodeId, isAnswered }) => !isAnswered && !silent(nodeId))
      if (asked.length === 0) return isPaused ? { _tag: "Unpause" } : undefined
      const { nodeId, iteration } = random.pick(asked)
      const spec = plan.find(nodeId)
      if (spec.kind === "wait" && spec.on === "signal") return signal(nodeId)
      if (spec.kind === "wait" && spec.on === "human") {
        return { _tag: "Answer", nodeId, iteration, value: random.chance(0.3) ? "no answer at all" : given(nodeId), by: "ann" }
      }
      return { _tag: "Decide", nodeId, iteration, approved: verdictOf(plan, nodeId) === "yes", by: "ann" }
    },
  }
}
