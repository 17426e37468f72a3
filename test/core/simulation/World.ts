/** What the world says to a run, of what it waits for: the scenario has what is said, chance has when. */
import type { Command } from "@smithers/core/Inbox"
import type * as Random from "@smithers/testing/Random"
import {
  branchesOf,
  channelOf,
  type Index,
  index,
  isRegion,
  pathOf,
  type Scenario,
  type Spec,
  type WaitSpec,
  writtenOf,
} from "./Scenario.ts"

/** A wait that is open. */
interface Asked {
  readonly nodeId: string
  readonly iteration: number
  /** What was said and is not looked at yet; nothing more is said until it is. */
  readonly isAnswered: boolean
}

/** A region that has begun and is not left, as far as one knows, or a part of one. */
export interface Leavable {
  readonly label: string
  readonly iteration: number
}

export interface World {
  /** Something to say now, if anything may be said. Somebody may also pause the run, and will unpause it. */
  readonly say: (open: ReadonlyArray<Asked>, isPaused: boolean) => Command | undefined
  /** A region that someone asks to leave now, if anyone does, and how. */
  readonly leave: (going: ReadonlyArray<Leavable>) => (Leavable & { readonly as: "completed" | "cancelled" }) | undefined
}

/** The name of a signal: items of one list wait for one name, and are told apart by the correlation. */
export const signalOf = (spec: WaitSpec): { readonly name: string; readonly correlation: string } => {
  const channel = channelOf(spec)
  return { name: writtenOf(channel), correlation: `mine${pathOf(channel)}` }
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
  const signal = (spec: WaitSpec): Command => {
    const { name, correlation: mine } = signalOf(spec)
    const said = given(channelOf(spec))
    const [correlation, payload] = random.pick([
      [mine, said],
      [mine, said],
      [mine, said],
      ["other", said],
      [mine, "not at all"],
    ] as const)
    return { _tag: "Signal", name, correlation, payload }
  }
  const regions = plan.nodes.filter(isRegion).filter(({ isOpenToAll }) => isOpenToAll)
  const open = new Set(
    regions.flatMap((region) => [region.label, ...(region.kind === "scope" ? [] : branchesOf(region).map(({ label }) => label))]),
  )
  let leaves = regions.length === 0 ? 0 : random.pick([0, 1, 1, 2, 3])
  return {
    leave: (going) => {
      const candidates = leaves === 0 ? [] : going.filter(({ label }) => open.has(label))
      if (candidates.length === 0 || !random.chance(0.25)) return undefined
      leaves--
      return { ...random.pick(candidates), as: random.pick(["completed", "cancelled"] as const) }
    },
    say: (open, isPaused) => {
      if (isPaused && random.chance(0.4)) return { _tag: "Unpause" }
      if (!isPaused && pauses > 0 && random.chance(0.2)) {
        pauses--
        return { _tag: "Pause" }
      }
      if (early > 0 && signals.length > 0 && random.chance(0.3)) {
        early--
        return signal(random.pick(signals))
      }
      // The timer of a region is nobody's to answer.
      const silent = (nodeId: string): boolean => !plan.position.has(nodeId) || (verdictOf(plan, nodeId) ?? "silent") === "silent"
      const asked = open.filter(({ nodeId, isAnswered }) => !isAnswered && !silent(nodeId))
      if (asked.length === 0) return isPaused ? { _tag: "Unpause" } : undefined
      const { nodeId, iteration } = random.pick(asked)
      const spec = plan.find(nodeId)
      if (spec.kind === "wait" && spec.on === "signal") return signal(spec)
      if (spec.kind === "wait" && spec.on === "human") {
        return { _tag: "Answer", nodeId, iteration, value: random.chance(0.3) ? "no answer at all" : given(nodeId), by: "ann" }
      }
      return { _tag: "Decide", nodeId, iteration, approved: verdictOf(plan, nodeId) === "yes", by: "ann" }
    },
  }
}
