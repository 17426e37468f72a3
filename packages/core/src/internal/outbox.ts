/**
 * The effects of a frame on other runs: the child runs that it starts, pauses and cancels, and the parent that receives its
 * result. They are committed with the frame, so that no crash can separate them.
 */
import type { Json } from "../Codec.ts"
import type { Definition } from "../Definition.ts"
import { childRunId, compositeKey, type NodeId, type NodeKey, nodeKey, parseNodeKey } from "../Ids.ts"
import type { Command, InboxMessage } from "../Inbox.ts"
import type { Millis } from "../Millis.ts"
import * as Plan from "../Plan.ts"
import * as Records from "../Records.ts"
import type { RunEvent } from "../RunEvent.ts"
import * as RunResult from "../RunResult.ts"
import * as RunState from "../RunState.ts"
import type { Frame } from "../RunStore.ts"
import type { Interrupt } from "../Scheduler.ts"
import { defined } from "../Struct.ts"
import * as Claims from "./claims.ts"
import * as Workplace from "./workplace.ts"

/** A child run that a node has started. */
export interface StartedChild {
  readonly runId: string
  readonly child: Plan.Child
  readonly parent: Records.Parent
  /** The places that it works in, those of its parent not included. */
  readonly places: Workplace.Chain
}

/** The definition of a child run, which the plan holds as an object. */
export const definitionOf = ({ child }: Pick<StartedChild, "child">): Definition<unknown> => child.definition as Definition<unknown>

/** A node that starts a child run. */
interface Subflow extends Plan.Wait {
  readonly target: Extract<Plan.WaitTarget, { readonly kind: "subflow" }>
}

const subflow = (plan: Plan.Plan, nodeId: string): Subflow | undefined => {
  const node = plan.find(nodeId)
  return node?._tag === "Wait" && node.target.kind === "subflow" ? (node as Subflow) : undefined
}

/** Child runs whose results the run waits for. */
const awaited = (state: RunState.RunState): ReadonlyArray<{ readonly record: Records.StepRecord; readonly runId: string }> =>
  RunState.pending(state).flatMap((record) => {
    if (record.status !== "waiting" || record.wait?.kind !== "subflow") return []
    const { name, child } = record.wait
    return name === undefined || child !== undefined ? [] : [{ record, runId: name }]
  })

/** Tells whether the run waits for child runs. */
export const isAwaitingChildren = (state: RunState.RunState): boolean => awaited(state).length > 0

const hasSubflows = (plan: Plan.Plan): boolean => plan.nodes.some((node) => node._tag === "Wait" && node.target.kind === "subflow")

const parentOf = (state: RunState.RunState, node: Subflow, iteration: number): Records.Parent => ({
  runId: state.runId,
  nodeId: node.id,
  iteration,
  isAttached: node.target.isAttached,
})

const startedOf = (
  plan: Plan.Plan,
  state: RunState.RunState,
  node: Subflow,
  { runId, iteration }: { readonly runId: string; readonly iteration: number },
): StartedChild => ({
  runId,
  child: node.target.child,
  parent: parentOf(state, node, iteration),
  places: Workplace.ofChild(plan, plan.positions.get(node.id) ?? -1, state.runId),
})

/** Open child runs of a resumed run. */
export const open = (plan: Plan.Plan, state: RunState.RunState): ReadonlyArray<StartedChild> =>
  !hasSubflows(plan)
    ? []
    : awaited(state).flatMap(({ record, runId }) => {
        const node = subflow(plan, record.nodeId)
        return node === undefined ? [] : [startedOf(plan, state, node, { runId, iteration: record.iteration })]
      })

/** Detached child runs that the run itself has started, each with the number of the event that started it. */
export const detached = (state: RunState.RunState): ReadonlyArray<{ readonly runId: string; readonly since: number }> =>
  RunState.records(state).flatMap((record) => {
    if (record.kind !== "step" || record.status !== "finished" || record.wait?.kind !== "subflow") return []
    if (RunState.isInherited(state, record)) return []
    const { name, child, requestSeq } = record.wait
    return name === undefined || child !== undefined ? [] : [{ runId: name, since: requestSeq }]
  })

/** Finds a started child run in a plan. */
export const startedBy = (plan: Plan.Plan, state: RunState.RunState, runId: string): ReadonlyArray<StartedChild> =>
  RunState.records(state).flatMap((record) => {
    const node = record.kind === "step" && record.wait?.name === runId ? subflow(plan, record.nodeId) : undefined
    return node === undefined ? [] : [startedOf(plan, state, node, { runId, iteration: record.iteration })]
  })

/** Child runs that have not ended, as far as the run knows, attached and detached, whose nodes are in a plan. */
export const family = (plan: Plan.Plan, state: RunState.RunState): ReadonlyArray<StartedChild> =>
  !hasSubflows(plan) ? [] : [...open(plan, state), ...detached(state).flatMap(({ runId }) => startedBy(plan, state, runId))]

/** Open child runs whose nodes are not in the plan, each with the number of the event that started it. */
export const strays = (
  plan: Plan.Plan,
  state: RunState.RunState,
): ReadonlyArray<{ readonly runId: string; readonly since: number; readonly key: NodeKey }> =>
  awaited(state).flatMap(({ record: { nodeId, iteration, wait }, runId }) =>
    wait === undefined || subflow(plan, nodeId) !== undefined
      ? []
      : [{ runId, since: wait.requestSeq, key: nodeKey(nodeId, iteration) }],
  )

/** The content of the next frame: the state after its events, and the interrupts. */
interface Made {
  readonly state: RunState.RunState
  readonly events: ReadonlyArray<RunEvent>
  readonly interrupts: ReadonlyArray<Interrupt>
}

/** The outgoing part of the next frame. */
export const make = (
  plan: Plan.Plan,
  { state, events, interrupts }: Made,
  now: Millis,
): {
  readonly spawned: NonNullable<Frame["spawned"]>
  readonly sent: ReadonlyArray<InboxMessage>
  readonly started: ReadonlyArray<StartedChild>
} => {
  /** The input of the run that this one goes on as, which its last state has no more. */
  let continuedWith: Json | undefined
  for (let entry = state.uncommitted; entry !== undefined; entry = entry.before.uncommitted)
    if (entry.event._tag === "RunContinued") continuedWith = entry.before.cancel?.continuation?.input as Json | undefined
  const spawned: Array<NonNullable<Frame["spawned"]>[number]> = []
  const sent: Array<InboxMessage> = []
  const started: Array<StartedChild> = []
  const send = (runId: string, command: Command): void => {
    sent.push({ id: sentId(state, sent.length), runId, at: now, command })
  }
  const cancel = (nodeId: NodeId, iteration: number): void => {
    const reason = `by run "${state.runId}", which started it`
    const wait = Records.openWait(RunState.step(state, nodeId, iteration))
    if (wait?.kind === "subflow" && wait.name !== undefined) send(wait.name, { _tag: "Cancel", reason })
  }
  for (const { key } of interrupts) {
    const { nodeId, iteration } = parseNodeKey(key)
    cancel(nodeId, iteration)
  }
  for (const event of events) {
    switch (event._tag) {
      case "WaitStarted": {
        const node = event.kind === "subflow" ? subflow(plan, event.nodeId) : undefined
        if (node === undefined || event.name === undefined) break
        const { child } = node.target
        const begun = startedOf(plan, state, node, { runId: event.name, iteration: event.iteration })
        const { parent } = begun
        const { input } = (event.request ?? {}) as { readonly input?: Json }
        const position = plan.positions.get(event.nodeId) ?? -1
        const budgets = Claims.inherited(Claims.of(plan, position, state, event.iteration))
        const isFinal = node.target.isAttached && Plan.isInFinally(plan, position)
        spawned.push({
          runId: event.name,
          create: {
            depth: state.depth + 1,
            workflow: child.name,
            version: child.version,
            input,
            tags: [],
            parent,
            // What undoes or ends the parent has to end, too.
            ...(isFinal ? { isFinal } : node.target.isAttached ? defined({ deadline: state.deadline }) : {}),
            ...budgets,
          },
        })
        started.push(begun)
        break
      }
      case "NodeReset": {
        // It gets a new child run, so nothing waits for the old one.
        const node = event.hasNewChild === true ? subflow(plan, event.nodeId) : undefined
        const generation = RunState.step(state, event.nodeId, event.iteration)?.generation ?? 0
        if (node === undefined || generation === 0) break
        const reason = `by run "${state.runId}", which starts another in its place`
        send(childRunId(state.runId, event.nodeId, event.iteration, generation - 1), { _tag: "Cancel", reason })
        break
      }
      case "RunContinued": {
        const { first, generation } = state.chain ?? { first: state.runId, generation: 0 }
        const { parent, budgets, deadline, depth, workflow, version } = state
        const kept = defined({ parent, deadline, budgets: budgets.length === 0 ? undefined : budgets })
        const chain = { first, generation: generation + 1 }
        spawned.push({
          runId: event.successor,
          create: { workflow, version, input: continuedWith, tags: [], depth, chain, ...kept },
        })
        for (const { id, at, name, correlation, payload } of state.signals) {
          const command = { _tag: "Signal", id, name, ...defined({ correlation, payload }) } as const
          sent.push({ id: sentId(state, sent.length), runId: event.successor, at, command })
        }
        if (state.pausedAt !== undefined) send(event.successor, { _tag: "Pause" })
        break
      }
      case "RunFinished":
      case "RunFailed":
      case "RunCancelled": {
        const ended = toParent(state)
        if (ended !== undefined) send(ended.runId, ended.command)
      }
    }
  }
  return { spawned, sent, started }
}

/** The id of a command that the next frame of this run sends, in the inbox of the other run. */
const sentId = ({ runId, frame }: RunState.RunState, index: number): string => compositeKey("run", runId, frame + 1, index)

/** The command with the result of an attached child run for its parent; `undefined` if there is none to notify. */
const toParent = (state: RunState.RunState): { readonly runId: string; readonly command: Command } | undefined => {
  const { parent } = state
  const result = parent?.isAttached === true ? RunResult.ofState(state) : undefined
  if (parent === undefined || result === undefined) return undefined
  const { runId, nodeId, iteration } = parent
  const command = {
    _tag: "ChildEnded",
    childRunId: state.chain?.first ?? state.runId,
    nodeId,
    iteration,
    ...RunResult.toChildEnd(result),
  } as const
  return { runId, command }
}

/**
 * The commands of the last frame of a run that is ended without being driven; `before` is its previous state. Its child runs
 * are cancelled, since nothing waits for them.
 */
export const ofEnd = (before: RunState.RunState, ended: RunState.RunState, at: Millis): ReadonlyArray<InboxMessage> => {
  const reason = `by the end of run "${ended.runId}", which started it`
  const told = awaited(before).map(({ runId }) => ({ runId, command: { _tag: "Cancel", reason } as const }))
  const parent = toParent(ended)
  return [...(parent === undefined ? [] : [parent]), ...told].map((to, index) => ({ id: sentId(ended, index), at, ...to }))
}
