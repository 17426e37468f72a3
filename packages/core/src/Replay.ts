/**
 * Answers whether an edit would have changed a recorded run. Today's code is planned and scheduled against the recorded results:
 * where it would do otherwise, it says so, node by node, and what depends on that stops there. Runs, writes and claims nothing.
 * Of the author's code it calls only what a plan asks: conditions, prompts, requests, items, keys and constants. `AgentRunner`, if
 * there is one, tells the whole text of prompts; it is asked for nothing else.
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { AgentRunner } from "./AgentRunner.ts"
import type { Definition } from "./Definition.ts"
import { canonicalText } from "./Digest.ts"
import { type RunNotFound, type StoreError, WorkflowMismatch } from "./Errors.ts"
import { type NodeId, type NodeKey, nodeKey } from "./Ids.ts"
import * as Recording from "./internal/recording.ts"
import * as Replayed from "./internal/replayed.ts"
import * as Restore from "./internal/restore.ts"
import type { Millis } from "./Millis.ts"
import * as PlanText from "./PlanText.ts"
import type { Difference, ReplayFinding } from "./ReplayFinding.ts"
import type { ReplayReport } from "./ReplayReport.ts"
import { RunReader } from "./RunReader.ts"
import * as RunState from "./RunState.ts"
import { RunStore } from "./RunStore.ts"

export type { Difference, ReplayFinding } from "./ReplayFinding.ts"
export { describe } from "./ReplayFinding.ts"
export { hasChanged, type ReplayReport } from "./ReplayReport.ts"

/** Time between the two evaluations of a replay (ms): each unit of time differs. */
const shiftMs = 400 * 86_400_000 + 5_025_678

/** Most waits that can be taken over one after another from the recording, since their times depend on the clock. */
const mostTrusted = 20

/**
 * Replays a recorded run with the code of a workflow, and its child runs with theirs. Fails with `WorkflowMismatch` if it is of
 * another workflow.
 */
export const replay = <R>(
  definition: Definition<R>,
  runId: string,
): Effect.Effect<ReplayReport, StoreError | RunNotFound | WorkflowMismatch, RunStore | RunReader | R> =>
  Effect.gen(function* () {
    const [store, reader] = [yield* RunStore, yield* RunReader]
    const history = yield* store.history(runId)
    const { workflow } = history
    if (definition.name !== undefined && definition.name !== workflow)
      return yield* new WorkflowMismatch({ runId, workflow: definition.name, stored: workflow })
    // What a fork has inherited is as it was recorded.
    const cut = history.entries.findLast(({ event }) => event._tag === "RunForked")?.frame
    const start = cut === undefined ? Recording.initial(history) : yield* store.load(runId, { frame: cut })
    const log = cut === undefined ? history.entries : history.entries.filter(({ frame }) => frame > cut)
    const recording = Recording.make(log, start)
    const report = { runId, workflow, status: recording.state.status }
    const input = yield* Effect.either(Restore.input(definition, workflow, history.input))
    if (Either.isLeft(input)) {
      const findings: ReadonlyArray<ReplayFinding> = [{ _tag: "InputRefused", frame: 0, issues: [...input.left.issues] }]
      return { ...report, findings, compared: 0, unreached: [...recording.keys], uncompared: [], children: [] }
    }
    let known: { readonly frame: number; readonly text: string } | undefined
    const planAt = (frame: number): Effect.Effect<string, StoreError> =>
      known?.frame === frame
        ? Effect.succeed(known.text)
        : Effect.tap(
            // The run was there before.
            Effect.catchTag(reader.plan(runId, frame), "RunNotFound", () => Effect.succeed("")),
            (text) => Effect.sync(() => (known = { frame, text })),
          )
    const knownIds = new Set<NodeId>()
    for (const { nodeId } of recording.state.nodes.values()) knownIds.add(nodeId)
    for (const [index, { frame, isAfresh }] of recording.frames.entries()) {
      if (index > 0 && !isAfresh) continue
      for (const id of PlanText.decode(yield* planAt(frame)).positions.keys()) knownIds.add(id)
    }
    for (const { event } of log) if (event._tag === "PlanChanged") for (const id of event.mounted) knownIds.add(id)
    const prompts = new Map<string, string>()
    for (const { nodeId, iteration, attempt, turns } of (yield* reader.inspect(runId)).attempts) {
      const [first] = turns
      if (first !== undefined) prompts.set(Recording.attemptName(nodeId, iteration, attempt), first.prompt)
    }
    const inherited = yield* Restore.outputs(definition, RunState.records(start))
    const services = yield* Effect.context<unknown>()
    const runner = yield* Effect.serviceOption(AgentRunner)
    const setting = {
      ...{ definition, recording, knownIds, planAt, prompts, services, input: input.right, start, inherited },
      promptOf: Option.getOrUndefined(runner)?.promptOf,
    }
    const asThen = (at: Millis) => ({ now: at, seed: 0 })
    const elsewhen = (at: Millis) => ({ now: at + shiftMs, seed: 1 })
    const trusted = new Set<NodeKey>()
    const unsteady: Array<ReplayFinding> = []
    for (;;) {
      const first = yield* Replayed.walk({ ...setting, circumstances: asThen, trusted })
      const second = yield* Replayed.walk({ ...setting, circumstances: elsewhen, trusted })
      const differing = compare(first, second)
      const fresh = differing.flatMap(({ key }) => (key === undefined || trusted.has(key) ? [] : [key]))
      unsteady.push(...differing.map(({ finding }) => finding))
      for (const key of fresh) trusted.add(key)
      if (fresh.length > 0 && trusted.size <= mostTrusted) continue
      const abouts = new Set(differing.map(({ about }) => about))
      const findings = [...first.findings.filter((finding) => !abouts.has(nameOf(finding))), ...unsteady]
      const children = yield* Effect.forEach(first.children, ({ runId, definition }) =>
        replay(definition as Definition<R>, runId).pipe(
          // It was pruned, or never began.
          Effect.catchTag("RunNotFound", () => Effect.succeed(undefined)),
        ),
      )
      return {
        ...report,
        findings: findings.sort((one, other) => one.frame - other.frame),
        compared: first.compared.size,
        unreached: [...first.unreached],
        uncompared: [...first.uncompared].map(([key, reason]) => ({ key, reason })),
        children: children.filter((child) => child !== undefined),
      }
    }
    // Codecs are untyped in a definition; their requirements are those of its steps.
  }) as Effect.Effect<ReplayReport, StoreError | RunNotFound | WorkflowMismatch, RunStore | RunReader | R>

/** What a finding is about. */
const nameOf = (finding: Difference): string =>
  "nodeId" in finding ? nodeKey(finding.nodeId, "iteration" in finding ? finding.iteration : 0) : finding._tag

/** Kinds of findings about waits whose recorded content can be taken over. */
const isOfWait = ({ _tag }: Difference): boolean => _tag === "DueChanged" || _tag === "ChildInputChanged"

/** Findings that two evaluations do not share. */
const compare = (
  first: Replayed.Walked,
  second: Replayed.Walked,
): ReadonlyArray<{ readonly about: string; readonly key: NodeKey | undefined; readonly finding: ReplayFinding }> => {
  const [ones, others] = [byName(first.findings), byName(second.findings)]
  const names = [...new Set([...ones.keys(), ...others.keys()])]
  return names.flatMap((about) => {
    const [one, other] = [ones.get(about), others.get(about)]
    const either = one ?? other
    if (either === undefined || canonicalText(one ?? null) === canonicalText(other ?? null)) return []
    // What one of them did not come to says nothing about it.
    const isReached = (found: Difference | undefined, { compared, unreached }: Replayed.Walked): boolean =>
      found !== undefined || !("nodeId" in either) || (compared.has(about as NodeKey) && !unreached.has(about as NodeKey))
    if (!isReached(one, first) || !isReached(other, second)) return []
    const key = isOfWait(either) && "iteration" in either ? nodeKey(either.nodeId, either.iteration) : undefined
    const finding = { _tag: "Unsteady", frame: either.frame, about, first: one ?? null, second: other ?? null } as const
    return [{ about, key, finding }]
  })
}

const byName = (findings: ReadonlyArray<Difference>): ReadonlyMap<string, Difference> => {
  const found = new Map<string, Difference>()
  for (const finding of findings) if (!found.has(nameOf(finding))) found.set(nameOf(finding), finding)
  return found
}
