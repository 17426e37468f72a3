/**
 * Plans a run: renders the workflow with the state of the run, and lowers the result. Records the reads of each render, and decides
 * for each event whether it changes any of them. If not, the plan stays valid.
 */
import { caughtOf } from "@smithers/core/Builder"
import { elsewhen } from "@smithers/core/Circumstances"
import * as Codec from "@smithers/core/Codec"
import type * as Definition from "@smithers/core/Definition"
import { InvalidWorkflow, RenderFailed, unnamed } from "@smithers/core/Errors"
import { compositeKey, isNodeId, type NodeId, type NodeKey, nodeKey, partId, shownId } from "@smithers/core/Ids"
import { nearestTo } from "@smithers/core/Names"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type { PlanText } from "@smithers/core/PlanText"
import type { FailureCause, RunEvent, StrayRead } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import type { OutputTable } from "@smithers/core/RunStore"
import type { Values } from "@smithers/core/Scheduler"
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as React from "react"
import * as Ctx from "./Ctx.ts"
import { type HostNode, isText } from "./HostNode.ts"
import { readsLater } from "./internal/condition.ts"
import { InvalidElement, idOf, isLeaf, propsOf, refuse } from "./internal/elements.ts"
import { type Frame, frameContext } from "./internal/frame.ts"
import * as Identity from "./internal/identity.ts"
import { type Lowering, untypedTable } from "./internal/lowering.ts"
import { givenAround } from "./internal/provisional.ts"
import * as Reads from "./internal/reads.ts"
import * as Retained from "./internal/retained.ts"
import * as Rows from "./internal/rows.ts"
import { noteLookup, stamp } from "./internal/scope.ts"
import { jsx } from "./jsx-runtime.ts"
import { type Lowered, lower } from "./lower.ts"
import { holdsPending, isPending, marked, pending } from "./Pending.ts"
import { RenderError, type Rendered, render } from "./render.ts"

/** A workflow as written: its render function and its schemas. */
export interface Blueprint {
  readonly draw: (ctx: Ctx.Ctx) => React.ReactNode
  readonly schemas: Ctx.Schemas
  /** Table of the run's output, which is its last row; `undefined` if not declared. */
  readonly output?: string | undefined
}

/** A plan and the state it was rendered from. */
export interface Drawn {
  readonly plan: Plan.Plan
  readonly lowered: Lowered
}

export interface Planner extends Definition.Planner {
  readonly draw: (state: RunState.RunState, values: Values) => Either.Either<Drawn, InvalidWorkflow | RenderFailed>
  /** Calls an author's functions outside of a run, where missing outputs are pending. Returns their reads by node. */
  readonly asking: (ask: () => void) => ReadonlyArray<Reads.Read>
  readonly strayReads: (state: RunState.RunState) => ReadonlyArray<StrayRead>
  /** Returns the task that a read of an unknown task may have meant. */
  readonly nearMiss: (read: Reads.Read) => NodeId | undefined
}

/**
 * Maximum number of renders for one plan. Reads depend on the loops of the previous plan, so a task that has moved needs another
 * render. Two suffice when a plan is restored; a workflow whose tasks move with every render is not a function of its state.
 */
const longestSettling = 10

const untyped = Codec.makeUnknown(Schema.Unknown)

/** Table of tasks without an output, created with the first such output. */
const untypedTables: ReadonlyArray<OutputTable> = [{ name: untypedTable, jsonSchema: undefined, nodeId: undefined }]

/** Returns the table of a schema or a key. */
export const tablesOf = (schemas: Ctx.Schemas): ((target: unknown) => string | undefined) => {
  const byRef = new Map<unknown, string>(Object.entries(schemas).map(([key, schema]) => [schema, key]))
  return (target) => (typeof target === "string" && Object.hasOwn(schemas, target) ? target : byRef.get(target))
}

/** Creates the planner of a run. */
export const make = (blueprint: Blueprint, workflow?: string): Planner => makeReading(blueprint, workflow, undefined)

/** Creates a planner whose functions, once they are called, read the run by another planner. */
const makeReading = (
  blueprint: Blueprint,
  workflow: string | undefined,
  reader: Pick<Lowering, "ctxAt" | "stored"> | undefined,
): Planner => {
  const { draw: drawWorkflow, schemas, output } = blueprint
  const tables = Object.keys(schemas)
  const tableOf = tablesOf(schemas)
  const knownTableOf = (target: unknown): string =>
    tableOf(target) ??
    ((): never => {
      const shown = typeof target === "string" ? `"${target}" is` : "this schema is"
      throw new Reads.ReadError(`${shown} not a schema of this workflow (${tables.join(", ")})`)
    })()

  let rows = Rows.make(RunState.empty(""))
  let hasObserved = false
  let values: Values = { input: undefined, outputs: new Map() }
  let layout = Reads.emptyIndex
  /** Loops that reads of `ctx.iteration` outside of loops meant, in order. */
  let meant: ReadonlyArray<ReturnType<typeof Reads.meant>> = []
  let drawn: Drawn | undefined
  /** The state that the plan depends on. Other events leave it valid. */
  let watched = watchNothing()
  /** State of `drawn` before the first event of the run. */
  let blankFor: unknown

  const known = (state: RunState.RunState, within = layout): Reads.Known => ({
    state,
    values,
    rows,
    layout: within,
  })

  /** Reads of the last render. */
  let renderedReads: ReadonlyArray<Reads.Read> = []
  /** Reads by functions that found no task. */
  const functionReads = new Map<string, Reads.Read>()
  const isStray = ({ nodeId, table }: Reads.Read): boolean =>
    nodeId === undefined
      ? !layout.writers.has(table) && rows.writersOf(table).length === 0
      : !layout.tasks.has(nodeId) && rows.tableOf(nodeId) === undefined
  const strayOf = ({ nodeId, table }: Reads.Read): StrayRead => {
    if (nodeId === undefined) return { output: table }
    const suggestion = nearestTo(nodeId, layout.tasks.keys())
    return { nodeId, output: table, ...defined({ suggestion }) }
  }
  /** Reads by functions called outside of a run. */
  let asked: Array<Reads.Read> | undefined
  const ctxHere: Lowering["ctxAt"] = (state, loop, noteRead, onPending) =>
    Ctx.make(
      {
        input: () => values.input,
        runId: state.runId,
        known: () => known(state),
        tableOf: knownTableOf,
        isTable: (name) => Object.hasOwn(schemas, name),
        pass: () => 0,
        onRead: (read, found) => {
          noteRead(readOf(read.table, found, state))
          asked?.push(read)
          if (isStray(read)) functionReads.set(readKey(read), read)
        },
        onTable: (table) => {
          noteRead({ nodeId: undefined, table, key: undefined })
          for (const { nodeId, iteration } of Reads.rowsIn(known(state), table))
            noteRead({ nodeId, table, key: nodeKey(nodeId, iteration) })
        },
        // Winners and failures depend on the tasks inside.
        onGroup: (group) => {
          for (const [nodeId, { table, within }] of layout.tasks) {
            if (!within.some(({ boundary }) => boundary === group)) continue
            const read = { table, nodeId, pass: undefined }
            noteRead(readOf(table, Reads.find(known(state), read), state))
          }
        },
        absent: (read) => {
          if (onPending === undefined && asked === undefined) return missing(read)
          onPending?.(read)
          return pending
        },
      },
      loop,
    )
  const ctxAt = reader?.ctxAt ?? ctxHere
  /** Creates the ctx that answers in place of a render's ctx while a function runs. */
  let answering: ((loop: string | undefined) => ReturnType<typeof Ctx.make>) | undefined
  const calling: Lowering["calling"] = (call, state, noteRead, onPending) => {
    const outer = answering
    answering = (loop) => ctxAt(state, loop, noteRead, onPending)
    try {
      return call()
    } finally {
      answering = outer
    }
  }
  const missing = ({ table, nodeId }: Reads.Read): never => {
    const problem = nodeId === undefined ? "no task has one" : `task "${nodeId}" has none`
    throw new Ctx.MissingOutput({ output: table, problem })
  }
  const storedHere: Lowering["stored"] = (nodeId, state, noteRead) => {
    const table = rows.tableOf(nodeId)
    if (table === undefined) return undefined
    if (state === undefined) return { value: undefined }
    const found = Reads.find(known(state), { table, nodeId, pass: "latest" })
    noteRead?.(readOf(table, found, state))
    return { value: found.value }
  }
  const lowering: Lowering = {
    tableOf,
    codecOf: (table) => Ctx.codecIn(schemas, table) ?? untyped,
    tables,
    output,
    ctxAt,
    calling,
    stored: reader?.stored ?? storedHere,
    storedWriters: (table) => rows.writersOf(table) ?? [],
    hasCaught: () => false,
    retained: () => [],
    isLeft: () => false,
    holdsPending: () => false,
    rowsOf: function* (reads, state) {
      const seen = new Set<NodeKey>()
      for (const read of reads) {
        // A read that has become ambiguous fails in the next render, at its place.
        const found = tryOr(() => Reads.find(known(state), read), undefined)
        const key = found === undefined ? undefined : readOf(read.table, found, state).key
        if (key === undefined || seen.has(key)) continue
        seen.add(key)
        yield key
      }
    },
  }

  const renderOnce = (state: RunState.RunState) => {
    const reads = new Map<string, { readonly read: Reads.Read; readonly key: string }>()
    const loops = new Set<NodeId>()
    const passes: Array<{ readonly scope: object; readonly pass: number }> = []
    const catches = new Map<NodeId, Catch>()
    const looks = new Map<string, Look>()
    /** Tables of which all rows were read. */
    const wholeTables = new Set<string>()
    const look = (what: string, region: NodeId, one: Omit<Look, "found">): void => {
      looks.set(compositeKey(region, what), { ...one, found: one.see(known(state)) })
    }
    const contexts = new Map<string | undefined, Ctx.Ctx>()
    let isOver = false
    const source: Ctx.Source = {
      input: () => values.input,
      runId: state.runId,
      known: () => known(state),
      tableOf: knownTableOf,
      isTable: (name) => Object.hasOwn(schemas, name),
      onTable: (table) => wholeTables.add(table),
      pass: () => {
        const pass = passIn(known(state), meant[passes.length])
        passes.push({ scope: stamp().scope, pass })
        return pass
      },
      onRead: (read, { key }) => {
        reads.set(readKey(read), { read, key })
        noteLookup(read)
      },
      onIteration: (loop) => loops.add(loop),
      onGroup: (group, what) =>
        look(what, group, {
          see: (within) =>
            (what === "winners" ? Reads.winnersOf(within, group) : Reads.failuresOf(within, group).map(({ key }) => key)).join("/"),
          watched: ({ groups }) =>
            what === "winners" ? [group] : (groups.get(group)?.parts ?? []).map((part) => partId(group, part)),
          loop: ({ groups }) => groups.get(group)?.loop,
        }),
      absent: Ctx.absentInRender,
      successor: (loop) => (isOver ? (answering?.(loop) ?? "none") : undefined),
    }
    const causeOf = (boundary: NodeId, loop: NodeId | undefined): FailureCause | undefined => {
      const cause = Reads.caughtBy(known(state), boundary, loop)
      catches.set(boundary, { loop, cause })
      return cause
    }
    const frame: Frame = {
      ctx: (loop) => {
        const made = contexts.get(loop) ?? Ctx.make(source, loop)
        contexts.set(loop, made)
        return made
      },
      nameOf: (path) => names.get(path),
      caught: (boundary, loop) => {
        const cause = causeOf(boundary, loop)
        return cause === undefined ? undefined : caughtOf(cause, state)
      },
    }
    const Root = Object.assign((): React.ReactNode => drawWorkflow(frame.ctx(undefined)), { displayName: "smithers" })
    try {
      const rendered: Rendered = render(jsx(frameContext.Provider, { value: frame, children: jsx(Root, {}) }))
      const isLeft: Lowering["isLeft"] = (region, loop, rest) => {
        const see = (within: Reads.Known): string => (Reads.isLeft(within, region, loop, rest) ? "left" : "")
        look("left", region, { see, watched: () => [region], loop: () => loop })
        return see(known(state)) !== ""
      }
      return { rendered, causeOf, isLeft, reads, loops, passes, catches, looks, wholeTables }
    } finally {
      isOver = true
    }
  }

  const drawOnce = (state: RunState.RunState) => {
    const { rendered, causeOf, isLeft, ...noted } = renderOnce(state)
    const hasCaught: Lowering["hasCaught"] = (boundary, loop) => causeOf(boundary, loop) !== undefined
    const holdsPending: Lowering["holdsPending"] = (node) => holds(state, node, "around", "")
    const retained: Lowering["retained"] = (tasks) =>
      [...left.values()].flatMap(({ step, ...one }) =>
        step === undefined || tasks.has(one.id) || !Retained.isDue(state, { ...one, step }) ? [] : [{ ...one, step }],
      )
    return { lowered: lower(rendered, { ...lowering, hasCaught, retained, isLeft, holdsPending }), ...noted }
  }

  /** Tasks with a compensation that are not drawn any more, by id, while a saga around them is open. */
  const left = new Map<NodeId, Retained.Undoable>()
  let recalled: PlanText | undefined
  /** Draws the states in which tasks finished that another process has drawn. Returns `true` if one was found. */
  const findLeft = (state: RunState.RunState, { layout: now }: Lowered): boolean => {
    let isAny = false
    for (const one of left.values()) {
      if (one.step !== undefined || now.tasks.has(one.id) || !Retained.isDue(state, one)) continue
      const before = Retained.stateBefore(state, one)
      const has = (key: NodeKey): boolean => before.nodes.has(key) && values.outputs.has(key)
      const outputs = { has, get: (key: NodeKey): unknown => (has(key) ? values.outputs.get(key) : undefined) }
      const earlier = makeReading(blueprint, workflow, { ctxAt, stored: lowering.stored })
      if (recalled !== undefined) earlier.recall?.(recalled)
      const found = Either.map(earlier.draw(before, { ...values, outputs }), ({ plan }) => plan.find(one.id))
      const step = Either.getOrUndefined(found)
      if (step?._tag !== "Step" || step.compensate === undefined) continue
      left.set(one.id, { ...one, step })
      isAny = true
    }
    return isAny
  }

  /** Unnamed containers of tasks in the previous render, with their current names. */
  let holders: Identity.Holders = new Map()
  let names: Identity.Names = new Map()
  const hasBegun = (state: RunState.RunState) => (kind: "loop" | "saga" | "try", id: string) =>
    kind === "loop" ? state.loopPasses.has(id) : state.nodes.has(nodeKey(id, 0))
  /** Matches unnamed containers by the tasks they hold. Returns `true` if a name differs from the one that was rendered. */
  const recognise = (state: RunState.RunState, { placed }: Lowered): boolean => {
    const found = Identity.namesOf(placed(), holders, hasBegun(state))
    const isSame = found.size === names.size && [...found].every(([path, name]) => names.get(path) === name)
    names = found
    return !isSame
  }

  /** Returns the value that this plan's render would read differently; `undefined` if there is none. */
  const unsettled = (
    { lowered, reads, loops, passes, catches, looks }: ReturnType<typeof drawOnce>,
    state: RunState.RunState,
  ): string | undefined => {
    const own = known(state, lowered.layout)
    const byScope = new Map<object, (typeof meant)[number]>()
    meant = passes.map(({ scope }) => {
      if (!byScope.has(scope)) byScope.set(scope, Reads.meant(own, lowered.loopsOf(scope)))
      return byScope.get(scope)
    })
    try {
      for (const { read, key } of reads.values())
        if (Reads.find(own, read).key !== key)
          return `the output of ${read.nodeId === undefined ? read.table : shownId(read.nodeId)}`
      for (const [boundary, { loop, cause }] of catches)
        if (Reads.caughtBy(own, boundary, loop) !== cause) return `what ${shownId(boundary)} has caught`
      for (const { see, found, watched: ids } of looks.values())
        if (see(own) !== found) return `the state of ${ids(own.layout).slice(0, 1).map(shownId).join()}`
      for (const loop of loops)
        if (Reads.passOf(own, loop) !== Reads.passOf(known(state), loop)) return `the iteration of loop ${shownId(loop)}`
      return passes.every(({ pass }, index) => pass === passIn(own, meant[index])) ? undefined : "ctx.iteration"
    } catch (thrown) {
      // Rendered again, the read fails in its component, which reports the place.
      if (thrown instanceof Reads.ReadError) return thrown.message
      throw thrown
    }
  }

  const settle = (state: RunState.RunState) => {
    for (let renders = 1; ; renders++) {
      const made = drawOnce(state)
      checkTables(made.lowered, rows)
      const isRenamed = recognise(state, made.lowered)
      const otherwise = isRenamed ? "the identity of a loop" : unsettled(made, state)
      if (otherwise !== undefined && renders === longestSettling) {
        const moved = movedBetween(layout, made.lowered.layout)
        throw new Reads.ReadError(
          `its plan differs with each render (${longestSettling} times): it reads ${otherwise}, which changes with the plan${moved}. Give loops ids, and keep each task in one loop`,
        )
      }
      // The old names would find nothing.
      if (!isRenamed) layout = made.lowered.layout
      if (otherwise === undefined) return made
    }
  }

  /** Number of renders in which new ids have replaced others. */
  let replacing = 0
  /**
   * Rejects ids that differ between renders of the same state, such as those of `useId`, `Math.random` or `Date.now`: they would
   * mount and run tasks without end. Detected by rendering again when ids replace others: the first few times, then ever more
   * rarely.
   */
  const checkIds = (state: RunState.RunState, plan: Plan.Plan): void => {
    const before = drawn === undefined ? idsStored(state) : idsIn(drawn.plan)
    const after = idsIn(plan)
    const isReplacing = [...before].some((id) => !after.has(id)) && [...after].some((id) => !before.has(id))
    if (!isReplacing) return
    replacing++
    if (replacing > 3 && (replacing & (replacing - 1)) !== 0) return
    const { lowered } = elsewhen(() => drawOnce(state))
    const again = idsIn(PlanLayout.make(lowered.name, lowered.root, lowered.pending, true))
    const [gone, made] = [[...after].filter((id) => !again.has(id)), [...again].filter((id) => !after.has(id))]
    const [first, other] = [gone[0] ?? made[0], made[0] ?? gone[0]]
    if (first === undefined || other === undefined) return
    const what = `two renders of the same state have ${shownId(first)} and ${shownId(other)}`
    const problem = `its ids differ between renders: ${what}. Derive ids from the input, outputs and keys, not from useId, Math.random, the time or a counter`
    throw new InvalidWorkflow({ workflow: lowered.name, where: placeIn(plan, first) ?? lowered.name, problem })
  }

  /** The same render with marked pending values; made on demand, once per state. */
  let marking: { readonly state: RunState.RunState; readonly leaves: ReadonlyMap<NodeId, HostNode> } | undefined
  /** Known results of {@link holds}. */
  const held = new Map<string, boolean>()
  /**
   * Returns `true` if a part of a task, or of its surroundings, is made of a pending value. Text does not show its origin, so the
   * state is rendered again with marked values, unless that was done for this `reason` before.
   */
  const holds = (state: RunState.RunState, node: HostNode, where: keyof Held, reason: string): boolean => {
    if (heldBy(node)[where]) return true
    const id = idOf(node)
    const key = compositeKey(id, where, reason)
    const known = held.get(key)
    if (known !== undefined) return known
    if (marking?.state !== state)
      marking = { state, leaves: leavesOf(tryOr(() => marked(() => renderOnce(state)).rendered.nodes, [])) }
    const again = marking.leaves.get(id)
    const isHeld = again !== undefined && heldBy(again)[where]
    held.set(key, isHeld)
    return isHeld
  }

  /** Rejects tasks that would start with a hole in place of a later output, as for `deps`. */
  const checkEarly = (state: RunState.RunState, { early }: Lowered): void => {
    for (const { node, read, isInside } of early()) {
      if (!isLeaf(node.type)) {
        for (const name of conditions[node.type] ?? [])
          if (isPending(propsOf(node)[name])) refuse(node, readsLater(`"${name}"`, read))
        continue
      }
      const id = idOf(node)
      const table = layout.tasks.get(id)?.table
      const isOver = table !== undefined && Reads.find(known(state), { table, nodeId: id, pass: undefined }).isThere
      if (!isOver && (isInside || holds(state, node, "inside", read.nodeId ?? `/${read.table}`)))
        refuse(node, readsLater("its content", read))
    }
  }

  const drawAnew = (state: RunState.RunState, isBlank: boolean): Drawn => {
    const before = drawn === undefined ? (recalled === undefined ? [] : Retained.inText(recalled)) : Retained.inPlan(drawn.plan)
    for (const one of before) left.set(one.id, one)
    const settled = settle(state)
    const { lowered, reads, loops, passes, catches, looks, wholeTables } = findLeft(state, settled.lowered)
      ? settle(state)
      : settled
    for (const one of left.values()) if (lowered.layout.tasks.has(one.id) || !Retained.isOpen(state, one)) left.delete(one.id)
    checkEarly(state, lowered)
    renderedReads = [...reads.values()].map(({ read }) => read)
    watched = watch(known(state), [...reads.values()], loops, passes.length > 0, catches, looks, wholeTables)
    const plan = PlanLayout.make(lowered.name, lowered.root, lowered.pending, true)
    checkIds(state, plan)
    drawn = { plan, lowered }
    holders = Identity.holdersOf(lowered.placed())
    marking = undefined
    blankFor = isBlank ? state.runId : undefined
    return drawn
  }

  const draw: Planner["draw"] = (state, known) => {
    values = known
    // Before the first event, each state is a starting point: the one for the name, then that of the run.
    if (!hasObserved) rows = Rows.make(state)
    const isBlank = state.nodes.size === 0
    if (drawn !== undefined && isBlank && blankFor === state.runId) return Either.right(drawn)
    try {
      return Either.right(drawAnew(state, isBlank))
    } catch (thrown) {
      return Either.left(explain(workflow ?? (state.workflow === "" ? unnamed : state.workflow), thrown))
    }
  }

  return {
    draw,
    deadlineMs: () => drawn?.lowered.deadlineMs,
    snapshots: () => drawn?.lowered.snapshots,
    recall: (plan) => {
      holders = Identity.holdersIn(plan)
      recalled = plan
      layout = Reads.indexOf(plan)
    },
    strayReads: (state) => {
      const found = new Map<string, StrayRead>()
      for (const read of [...renderedReads, ...functionReads.values()]) {
        const isKnown = read.nodeId !== undefined && state.nodes.has(nodeKey(read.nodeId, 0))
        if (!isKnown && isStray(read)) found.set(compositeKey(read.nodeId ?? "", read.table), strayOf(read))
      }
      return [...found.values()]
    },
    nearMiss: (read) => (isStray(read) ? strayOf(read).suggestion : undefined),
    asking: (ask) => {
      const reads: Array<Reads.Read> = []
      asked = reads
      try {
        ask()
      } finally {
        asked = undefined
      }
      return reads
    },
    plan: (state, known) => Either.map(draw(state, known), ({ plan }) => plan),
    tables: () => (layout.writers.has(untypedTable) ? untypedTables : undefined),
    observe: (events) => {
      let isStale = false
      hasObserved = true
      for (const event of events) {
        rows.observe(event)
        isStale ||= touches(watched, event) || (event._tag === "AttemptSucceeded" && left.has(event.nodeId))
      }
      if (isStale) blankFor = undefined
      return isStale
    },
  }
}

/** Props that decide what runs, for elements other than tasks. */
const conditions: { readonly [type: string]: ReadonlyArray<string> } = {
  Branch: ["if"],
  Loop: ["until"],
  Scope: ["until", "cancelWhen"],
  ForEach: ["items", "more"],
}

/** Encodes a read as a key. A table has no `/` in its name, and the id comes last. */
const readKey = ({ pass, table, nodeId, from }: Reads.Read): string =>
  typeof pass === "number" && from !== undefined
    ? compositeKey(pass, table, nodeId ?? "", from)
    : `${pass ?? ""}/${table}/${nodeId ?? ""}`

/** Formats the tasks that have moved between loops, as the end of a sentence. */
const movedBetween = (before: Reads.TaskIndex, after: Reads.TaskIndex): string => {
  const moved = [...after.tasks].flatMap(([id, { loop }]) => {
    const was = before.tasks.get(id)
    const named = (one: NodeId | undefined): string => (one === undefined ? "no loop" : `loop ${shownId(one)}`)
    return was === undefined || was.loop === loop ? [] : [`${shownId(id)} is in ${named(was.loop)}, then in ${named(loop)}`]
  })
  return moved.length === 0 ? "" : ` (${moved.slice(0, 3).join("; ")})`
}

/** Returns the ids in a plan, without compensations. */
const idsIn = ({ positions, size }: Plan.Plan): ReadonlySet<NodeId> =>
  new Set([...positions].flatMap(([id, position]) => (position < size ? [id] : [])))

/** Returns the ids of the tasks that a run has started. */
const idsStored = (state: RunState.RunState): ReadonlySet<NodeId> =>
  new Set(RunState.records(state).flatMap(({ kind, nodeId }) => (kind === "step" && isNodeId(nodeId) ? [nodeId] : [])))

/** Formats the place of a node for an error. */
const placeIn = ({ nodes, positions }: Plan.Plan, id: NodeId): string | undefined => {
  const node = nodes[positions.get(id) ?? -1]
  return node === undefined ? undefined : `${node._tag.toLowerCase()} ${shownId(id)}`
}

/** Converts a read for the core. A skipped or failed row counts as read, although it has no value. */
const readOf = (table: string, { nodeId, row }: Reads.Found, state: RunState.RunState): Plan.OutputRead => ({
  nodeId,
  table,
  key: row !== undefined && RunState.isSettledRow(state, row) ? row : undefined,
})

/** Describes which parts of a task are made of pending values: its own content, and that of elements around it. */
interface Held {
  readonly inside: boolean
  readonly around: boolean
}

const heldBy = (node: HostNode): Held => {
  const inside = holdsPending(saidIn(node))
  return { inside, around: inside || holdsPending(givenAround(node)) }
}

/** Returns the content of a node: its props, without agent, output and workflow, and its children. */
const saidIn = ({ props, children }: HostNode): unknown => {
  const { agent: _, output: __, workflow: ___, ...said } = props
  return [said, children.map(printedIn)]
}

const printedIn = (child: HostNode["children"][number]): unknown =>
  isText(child) ? child.text : [Object.values(child.props), child.children.map(printedIn)]

/** Returns the tasks and waits of a render, by id. */
const leavesOf = (nodes: ReadonlyArray<HostNode>): ReadonlyMap<NodeId, HostNode> => {
  const found = new Map<NodeId, HostNode>()
  const open: Array<HostNode["children"][number]> = [...nodes]
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isText(node)) continue
    if (isLeaf(node.type) && isNodeId(node.props.id)) found.set(node.props.id, node)
    else open.push(...node.children)
  }
  return found
}

const tryOr = <A>(attempt: () => A, otherwise: A): A => {
  try {
    return attempt()
  } catch (thrown) {
    if (thrown instanceof Reads.ReadError || thrown instanceof RenderError) return otherwise
    throw thrown
  }
}

const passIn = (known: Reads.Known, loop: NodeId | Reads.ReadError | undefined): number => {
  if (loop instanceof Reads.ReadError) throw loop
  return loop === undefined ? 0 : Reads.passOf(known, loop)
}

/** Rejects a node whose stored outputs are in another table than its current one. */
const checkTables = ({ layout }: Lowered, rows: Rows.Rows): void => {
  for (const [nodeId, { table }] of layout.tasks) {
    const written = rows.tableOf(nodeId)
    if (written === undefined || written === table) continue
    const name = (key: string): string =>
      key === Rows.noTable ? "no output" : key === untypedTable ? "no declared output" : `output "${key}"`
    throw new Reads.ReadError(
      `Task "${nodeId}" has finished in this run with ${name(written)}, and now declares ${name(table)}. Give the new task another id`,
    )
  }
}

/** A boundary whose caught failure the plan depends on. */
interface Catch {
  readonly loop: NodeId | undefined
  readonly cause: FailureCause | undefined
}

/** A read of the state of a region, or of what is in it. */
interface Look {
  readonly see: (known: Reads.Known) => string
  readonly found: string
  /** Returns the boundaries it depends on. */
  readonly watched: (layout: Reads.TaskIndex) => ReadonlyArray<NodeId>
  readonly loop: (layout: Reads.TaskIndex) => NodeId | undefined
}

interface Watched {
  readonly nodes: ReadonlySet<NodeId>
  readonly catches: ReadonlySet<NodeId>
  /** Scopes, races, lists and parts whose outcome the plan depends on. */
  readonly regions: ReadonlySet<NodeId>
  readonly tables: ReadonlySet<string>
  readonly loops: ReadonlySet<NodeId>
  /** Loops of which only the first iteration matters, since the last output stays the same in the next one. */
  readonly begun: ReadonlySet<NodeId>
  /** `true` if the plan depends on which loop runs. */
  readonly anyLoop: boolean
}

const watchNothing = (): Watched => ({
  nodes: new Set(),
  catches: new Set(),
  regions: new Set(),
  tables: new Set(),
  loops: new Set(),
  begun: new Set(),
  anyLoop: false,
})

const watch = (
  known: Reads.Known,
  reads: ReadonlyArray<{ readonly read: Reads.Read }>,
  iterations: Iterable<NodeId>,
  anyLoop: boolean,
  catches: ReadonlyMap<NodeId, Catch>,
  looks: ReadonlyMap<string, Look>,
  wholeTables: Iterable<string>,
): Watched => {
  const nodes = new Set<NodeId>()
  const tables = new Set<string>()
  const loops = new Set<NodeId>()
  const begun = new Set<NodeId>()
  const around = (loop: NodeId | undefined): void => {
    for (let here = loop; here !== undefined && !loops.has(here); here = known.layout.loops.get(here)) loops.add(here)
  }
  for (const { read } of reads) {
    const nodeId = Reads.nodeOf(known, read)
    if (nodeId === undefined) {
      tables.add(read.table)
      continue
    }
    nodes.add(nodeId)
    const task = known.layout.tasks.get(nodeId)
    const loop = task === undefined && typeof read.pass === "number" ? read.from : task?.loop
    if (read.pass === "latest" && loop !== undefined) {
      begun.add(loop)
      around(known.layout.loops.get(loop))
    } else around(loop)
  }
  for (const table of wholeTables) {
    tables.add(table)
    // A row that is reset is gone.
    for (const nodeId of known.rows.writersOf(table)) nodes.add(nodeId)
  }
  for (const loop of iterations) around(loop)
  // A new iteration has caught nothing.
  for (const { loop, cause } of catches.values()) if (cause !== undefined) around(loop)
  const regions = new Set<NodeId>()
  for (const { found, watched: ids, loop } of looks.values()) {
    for (const id of ids(known.layout)) regions.add(id)
    if (found !== "") around(loop(known.layout))
  }
  return { nodes, catches: new Set(catches.keys()), regions, tables, loops, begun, anyLoop }
}

const touches = ({ nodes, catches, regions, tables, loops, begun, anyLoop }: Watched, event: RunEvent): boolean => {
  switch (event._tag) {
    case "AttemptSucceeded":
    case "WaitEnded":
      return nodes.has(event.nodeId) || (event.table !== undefined && tables.has(event.table))
    case "NodeReset":
      return [nodes, catches, regions, loops, begun].some((some) => some.has(event.nodeId))
    case "BoundaryHalted":
      return event.isCaught && (catches.has(event.nodeId) || regions.has(event.nodeId))
    case "PartsDecided":
      return regions.has(event.nodeId)
    case "LoopAdvanced":
      return anyLoop || loops.has(event.nodeId) || (event.pass === 0 && begun.has(event.nodeId))
    case "LoopFinished":
      return anyLoop
    default:
      return false
  }
}

/** Converts an error of a render into a typed one. An error that neither a check nor the author's code has thrown is a defect. */
const explain = (workflow: string, thrown: unknown): InvalidWorkflow | RenderFailed => {
  if (thrown instanceof InvalidWorkflow) return thrown
  if (thrown instanceof InvalidElement) return new InvalidWorkflow({ workflow, where: thrown.where, problem: thrown.message })
  if (thrown instanceof Reads.ReadError) return new RenderFailed({ workflow, problem: said(thrown), cause: thrown })
  if (!(thrown instanceof RenderError)) throw thrown
  const { thrown: cause, where, pending } = thrown
  const last = pending.at(-1)
  const hint = `. The output of "${last?.nodeId ?? last?.table}" did not exist yet in this render. If the code needs its value, read it with outputMaybe`
  const problem = last === undefined ? said(cause) : `${said(cause)}${hint}`
  return new RenderFailed({ workflow, problem, cause, ...defined({ where }) })
}

const said = (thrown: unknown): string =>
  thrown instanceof Error ? `${thrown.name}: ${thrown.message}${Codec.adviceOn(thrown)}` : String(thrown)
