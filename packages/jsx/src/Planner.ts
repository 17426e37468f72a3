/**
 * Draws the plans of one run: renders the workflow with what is known of the run, and lowers what comes of it. It notes what a
 * render has read, and says of each event whether it changes any of that; while nothing does, there is nothing to draw again.
 */
import { caughtOf } from "@smithers/core/Builder"
import * as Codec from "@smithers/core/Codec"
import type * as Definition from "@smithers/core/Definition"
import { InvalidWorkflow, RenderFailed, unnamed } from "@smithers/core/Errors"
import { compositeKey, isNodeId, type NodeId, type NodeKey, nodeKey, partId, shownId } from "@smithers/core/Ids"
import type * as Plan from "@smithers/core/Plan"
import * as PlanLayout from "@smithers/core/PlanLayout"
import type { FailureCause, RunEvent, StrayRead } from "@smithers/core/RunEvent"
import * as RunState from "@smithers/core/RunState"
import type { OutputTable } from "@smithers/core/RunStore"
import type { Values } from "@smithers/core/Scheduler"
import { defined } from "@smithers/core/Struct"
import * as Either from "effect/Either"
import * as HashMap from "effect/HashMap"
import * as Schema from "effect/Schema"
import type * as React from "react"
import * as Ctx from "./Ctx.ts"
import { type HostNode, isText } from "./HostNode.ts"
import { readsLater } from "./internal/condition.ts"
import { elsewhen } from "./internal/elsewhen.ts"
import { type Frame, frameContext } from "./internal/frame.ts"
import * as Identity from "./internal/identity.ts"
import { type Lowering, untypedTable } from "./internal/lowering.ts"
import { nearestTo } from "./internal/nearest.ts"
import { idOf, isLeaf, Misplaced, propsOf, refuse } from "./internal/place.ts"
import { givenAround } from "./internal/provisional.ts"
import * as Reading from "./internal/reading.ts"
import * as Rows from "./internal/rows.ts"
import { noteLookup, stamp } from "./internal/scope.ts"
import { jsx } from "./jsx-runtime.ts"
import { type Lowered, lower } from "./lower.ts"
import { holdsPending, isPending, marked, pending } from "./Pending.ts"
import { RenderError, type Rendered, render } from "./render.ts"

/** A workflow as it is written: what draws it, and the schemas it may name. */
export interface Blueprint {
  readonly draw: (ctx: Ctx.Ctx) => React.ReactNode
  readonly schemas: Ctx.Schemas
  /** The table whose last row is the output of a run, where that is said. */
  readonly output?: string | undefined
}

/** A plan and what it was drawn with. */
export interface Drawn {
  readonly plan: Plan.Plan
  readonly lowered: Lowered
}

export interface Planner extends Definition.Planner {
  readonly draw: (state: RunState.RunState, values: Values) => Either.Either<Drawn, InvalidWorkflow | RenderFailed>
  /** Asks an author's functions outside a run: what is not there is pending. Answers with all that they have read by node. */
  readonly asking: (ask: () => void) => ReadonlyArray<Reading.Read>
  readonly strayReads: (state: RunState.RunState) => ReadonlyArray<StrayRead>
  /** The task that a read may have meant, where it names one that is not there. */
  readonly nearMiss: (read: Reading.Read) => NodeId | undefined
}

/**
 * Renders that one plan may take at most. A render reads outputs by where their nodes stood in the plan before; if they then stand
 * elsewhere it is made again. Two are what it takes where a plan is picked up; a workflow whose tasks move between loops with
 * each render is not a function of its state.
 */
const longestSettling = 10

const untyped = Codec.makeUnknown(Schema.Unknown)

/** That of tasks without an output, which is made when there is one. */
const untypedTables: ReadonlyArray<OutputTable> = [{ name: untypedTable, jsonSchema: undefined, nodeId: undefined }]

/** Tables by schema and by key. */
export const tablesOf = (schemas: Ctx.Schemas): ((target: unknown) => string | undefined) => {
  const byRef = new Map<unknown, string>(Object.entries(schemas).map(([key, schema]) => [schema, key]))
  return (target) => (typeof target === "string" && Object.hasOwn(schemas, target) ? target : byRef.get(target))
}

/** Makes the planner of a run. */
export const make = ({ draw: drawWorkflow, schemas, output }: Blueprint, workflow?: string): Planner => {
  const tables = Object.keys(schemas)
  const tableOf = tablesOf(schemas)
  const knownTableOf = (target: unknown): string =>
    tableOf(target) ??
    ((): never => {
      const shown = typeof target === "string" ? `"${target}" is` : "this schema is"
      throw new Reading.ReadError(`${shown} none of the schemas of this workflow (${tables.join(", ")})`)
    })()

  let rows = Rows.make(RunState.empty(""))
  let hasObserved = false
  let values: Values = { input: undefined, outputs: new Map() }
  let layout = Reading.emptyLayout
  /** The loops that reads of `ctx.iteration` outside loops meant, in the order in which they were made. */
  let meant: ReadonlyArray<ReturnType<typeof Reading.meant>> = []
  let drawn: Drawn | undefined
  /** What the plan was drawn from: events that touch none of it leave the plan as it is. */
  let watched = watchNothing()
  /** The state `drawn` was drawn for, when nothing had happened in the run yet. */
  let blankFor: unknown

  const known = (state: RunState.RunState, within = layout): Reading.Known => ({
    state,
    values,
    rows,
    layout: within,
  })

  /** What the last render has read. */
  let renderedReads: ReadonlyArray<Reading.Read> = []
  /** What functions have read when no task was the one that was meant. */
  const functionReads = new Map<string, Reading.Read>()
  const isStray = ({ nodeId, table }: Reading.Read): boolean =>
    nodeId === undefined
      ? !layout.writers.has(table) && rows.writersOf(table).length === 0
      : !layout.tasks.has(nodeId) && rows.tableOf(nodeId) === undefined
  const strayOf = ({ nodeId, table }: Reading.Read): StrayRead => {
    if (nodeId === undefined) return { output: table }
    const meant = nearestTo(nodeId, layout.tasks.keys())
    return { nodeId, output: table, ...defined({ meant }) }
  }
  /** What functions read that are asked outside a run. */
  let asked: Array<Reading.Read> | undefined
  const ctxAt: Lowering["ctxAt"] = (state, loop, noteRead, onPending) =>
    Ctx.make(
      {
        input: () => values.input,
        runId: state.runId,
        known: () => known(state),
        tableOf: knownTableOf,
        pass: () => 0,
        onRead: (read, found) => {
          noteRead(readOf(read.table, found, state))
          asked?.push(read)
          if (isStray(read)) functionReads.set(readKey(read), read)
        },
        // What has won, or failed, follows from what stands in it.
        onGroup: (group) => {
          for (const [nodeId, { table, within }] of layout.tasks) {
            if (!within.some(({ boundary }) => boundary === group)) continue
            const read = { table, nodeId, pass: undefined }
            noteRead(readOf(table, Reading.find(known(state), read), state))
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
  /** Makes what answers in place of the ctx of a render, while a function is called. */
  let answering: ((loop: string | undefined) => Ctx.Ctx) | undefined
  const calling: Lowering["calling"] = (call, state, noteRead, onPending) => {
    const outer = answering
    answering = (loop) => ctxAt(state, loop, noteRead, onPending)
    try {
      return call()
    } finally {
      answering = outer
    }
  }
  const missing = ({ table, nodeId }: Reading.Read): never => {
    const problem = nodeId === undefined ? "no task has given one" : `task "${nodeId}" has not given one`
    throw new Ctx.MissingOutput({ output: table, problem })
  }
  const lowering: Lowering = {
    tableOf,
    codecOf: (table) => Ctx.codecIn(schemas, table) ?? untyped,
    tables,
    output,
    ctxAt,
    calling,
    stored: (nodeId, state, noteRead) => {
      const table = rows.tableOf(nodeId)
      if (table === undefined) return undefined
      if (state === undefined) return { value: undefined }
      const found = Reading.find(known(state), { table, nodeId, pass: "latest" })
      noteRead?.(readOf(table, found, state))
      return { value: found.value }
    },
    storedWriters: (table) => rows.writersOf(table) ?? [],
    hasCaught: () => false,
    isLeft: () => false,
    holdsPending: () => false,
    rowsOf: function* (reads, state) {
      const seen = new Set<NodeKey>()
      for (const read of reads) {
        // A read that has come to mean several nodes fails where it is made, when that is drawn again.
        const found = tryOr(() => Reading.find(known(state), read), undefined)
        const key = found === undefined ? undefined : readOf(read.table, found, state).key
        if (key === undefined || seen.has(key)) continue
        seen.add(key)
        yield key
      }
    },
  }

  const renderOnce = (state: RunState.RunState) => {
    const reads = new Map<string, { readonly read: Reading.Read; readonly key: string }>()
    const loops = new Set<NodeId>()
    const passes: Array<{ readonly scope: object; readonly pass: number }> = []
    const catches = new Map<NodeId, Catch>()
    const looks = new Map<string, Look>()
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
            (what === "winners" ? Reading.winnersOf(within, group) : Reading.failuresOf(within, group).map(({ key }) => key)).join(
              "/",
            ),
          watched: ({ groups }) =>
            what === "winners" ? [group] : (groups.get(group)?.parts ?? []).map((part) => partId(group, part)),
          loop: ({ groups }) => groups.get(group)?.loop,
        }),
      absent: Ctx.absentInRender,
      successor: (loop) => (isOver ? (answering?.(loop) ?? "none") : undefined),
    }
    const causeOf = (boundary: NodeId, loop: NodeId | undefined): FailureCause | undefined => {
      const cause = Reading.caughtBy(known(state), boundary, loop)
      catches.set(boundary, { loop, cause })
      return cause
    }
    const frame: Frame = {
      ctx: (loop) => {
        const made = contexts.get(loop) ?? Ctx.make(source, loop)
        contexts.set(loop, made)
        return made
      },
      nameOf: (place) => names.get(place),
      caught: (boundary, loop) => {
        const cause = causeOf(boundary, loop)
        return cause === undefined ? undefined : caughtOf(cause, state)
      },
    }
    const Root = Object.assign((): React.ReactNode => drawWorkflow(frame.ctx(undefined)), { displayName: "smithers" })
    try {
      const rendered: Rendered = render(jsx(frameContext.Provider, { value: frame, children: jsx(Root, {}) }))
      const isLeft: Lowering["isLeft"] = (region, loop, rest) => {
        const see = (within: Reading.Known): string => (Reading.isLeft(within, region, loop, rest) ? "left" : "")
        look("left", region, { see, watched: () => [region], loop: () => loop })
        return see(known(state)) !== ""
      }
      return { rendered, causeOf, isLeft, reads, loops, passes, catches, looks }
    } finally {
      isOver = true
    }
  }

  const drawOnce = (state: RunState.RunState) => {
    const { rendered, causeOf, isLeft, ...noted } = renderOnce(state)
    const hasCaught: Lowering["hasCaught"] = (boundary, loop) => causeOf(boundary, loop) !== undefined
    const holdsPending: Lowering["holdsPending"] = (node) => holds(state, node, "around", "")
    return { lowered: lower(rendered, { ...lowering, hasCaught, isLeft, holdsPending }), ...noted }
  }

  /** What holds the tasks of the drawing before that has no id of its own, and how that is called now. */
  let holders: Identity.Holders = new Map()
  let names: Identity.Names = new Map()
  const hasBegun = (state: RunState.RunState) => (kind: "loop" | "saga" | "try", id: string) =>
    kind === "loop" ? HashMap.has(state.loopPasses, id) : HashMap.has(state.nodes, nodeKey(id, 0))
  /** Finds out what is what by the tasks it holds. Answers whether something is called otherwise than it was drawn. */
  const recognise = (state: RunState.RunState, { placed }: Lowered): boolean => {
    const found = Identity.namesOf(placed(), holders, hasBegun(state))
    const isSame = found.size === names.size && [...found].every(([place, name]) => names.get(place) === name)
    names = found
    return !isSame
  }

  /** What a render would have seen otherwise with its own plan; `undefined` where that is nothing. */
  const unsettled = (
    { lowered, reads, loops, passes, catches, looks }: ReturnType<typeof drawOnce>,
    state: RunState.RunState,
  ): string | undefined => {
    const own = known(state, lowered.layout)
    const byScope = new Map<object, (typeof meant)[number]>()
    meant = passes.map(({ scope }) => {
      if (!byScope.has(scope)) byScope.set(scope, Reading.meant(own, lowered.loopsOf(scope)))
      return byScope.get(scope)
    })
    try {
      for (const { read, key } of reads.values())
        if (Reading.find(own, read).key !== key)
          return `the output of ${read.nodeId === undefined ? read.table : shownId(read.nodeId)}`
      for (const [boundary, { loop, cause }] of catches)
        if (Reading.caughtBy(own, boundary, loop) !== cause) return `what ${shownId(boundary)} has caught`
      for (const { see, found, watched: ids } of looks.values())
        if (see(own) !== found) return `what has become of ${ids(own.layout).slice(0, 1).map(shownId).join()}`
      for (const loop of loops)
        if (Reading.passOf(own, loop) !== Reading.passOf(known(state), loop)) return `the pass of loop ${shownId(loop)}`
      return passes.every(({ pass }, index) => pass === passIn(own, meant[index])) ? undefined : "ctx.iteration"
    } catch (thrown) {
      // Made once more, the read fails in the component that makes it, and so tells where.
      if (thrown instanceof Reading.ReadError) return thrown.message
      throw thrown
    }
  }

  const settle = (state: RunState.RunState) => {
    for (let renders = 1; ; renders++) {
      const made = drawOnce(state)
      checkTables(made.lowered, rows)
      const isRenamed = recognise(state, made.lowered)
      const otherwise = isRenamed ? "how loops are called" : unsettled(made, state)
      if (otherwise !== undefined && renders === longestSettling) {
        const moved = movedBetween(layout, made.lowered.layout)
        throw new Reading.ReadError(
          `it is drawn otherwise each time it is rendered (${longestSettling} times): ${otherwise} is read, and then is another with what was drawn${moved}. Give loops ids, and let no task move between loops`,
        )
      }
      // By names that are no longer so nothing would be found.
      if (!isRenamed) layout = made.lowered.layout
      if (otherwise === undefined) return made
    }
  }

  /** Drawings with new ids in place of others. */
  let replacing = 0
  /**
   * Refuses ids that are others each time that the same is drawn, such as those of `useId`, `Math.random` or `Date.now`: tasks would be mounted
   * and run without end. Whether they are is seen by drawing once more, which is done where ids have replaced others: each of the first
   * times, and then ever more rarely.
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
    const what = `drawn twice, the same workflow has ${shownId(first)} once and ${shownId(other)} then`
    const problem = `its ids are others each time it is drawn: ${what}. Make ids of the input, of outputs and of keys, and not of useId, Math.random, the time or a counter`
    throw new InvalidWorkflow({ workflow: lowered.name, where: placeIn(plan, first) ?? lowered.name, problem })
  }

  /** The same drawn with pending values that can be told in text; made where it is asked for, once for each state. */
  let marking: { readonly state: RunState.RunState; readonly leaves: ReadonlyMap<NodeId, HostNode> } | undefined
  /** What is known of which tasks hold what is pending. */
  const held = new Map<string, boolean>()
  /**
   * Whether anything in a task, or given to what is around it, is made of what is pending. Text tells nothing of what it was made of, so the same is
   * drawn once more, unless it was for this `reason` before.
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

  /** Refuses what would begin with a hole where an output belongs that comes after it, as `deps` on it are refused. */
  const checkEarly = (state: RunState.RunState, { early }: Lowered): void => {
    for (const { node, read, isInside } of early()) {
      if (!isLeaf(node.type)) {
        for (const name of conditions[node.type] ?? [])
          if (isPending(propsOf(node)[name])) refuse(node, readsLater(`"${name}"`, read))
        continue
      }
      const id = idOf(node)
      const table = layout.tasks.get(id)?.table
      const isOver = table !== undefined && Reading.find(known(state), { table, nodeId: id, pass: undefined }).isThere
      if (!isOver && (isInside || holds(state, node, "inside", read.nodeId ?? `/${read.table}`)))
        refuse(node, readsLater("what it says", read))
    }
  }

  const drawAnew = (state: RunState.RunState, isBlank: boolean): Drawn => {
    const { lowered, reads, loops, passes, catches, looks } = settle(state)
    checkEarly(state, lowered)
    renderedReads = [...reads.values()].map(({ read }) => read)
    watched = watch(known(state), [...reads.values()], loops, passes.length > 0, catches, looks)
    const plan = PlanLayout.make(lowered.name, lowered.root, lowered.pending, true)
    checkIds(state, plan)
    drawn = { plan, lowered }
    holders = Identity.holdersOf(lowered.placed())
    marking = undefined
    blankFor = isBlank ? state.runId : undefined
    return drawn
  }

  const draw: Planner["draw"] = (state, given) => {
    values = given
    // Until events are heard, each state is one to begin with: the one drawn to learn the name, and then that of the run.
    if (!hasObserved) rows = Rows.make(state)
    const isBlank = HashMap.isEmpty(state.nodes)
    if (drawn !== undefined && isBlank && blankFor === state.runId) return Either.right(drawn)
    try {
      return Either.right(drawAnew(state, isBlank))
    } catch (thrown) {
      return Either.left(explain(workflow ?? (state.workflow === "" ? unnamed : state.workflow), thrown))
    }
  }

  return {
    draw,
    recall: (plan) => {
      holders = Identity.holdersIn(plan)
    },
    strayReads: (state) => {
      const found = new Map<string, StrayRead>()
      for (const read of [...renderedReads, ...functionReads.values()]) {
        const isKnown = read.nodeId !== undefined && HashMap.has(state.nodes, nodeKey(read.nodeId, 0))
        if (!isKnown && isStray(read)) found.set(compositeKey(read.nodeId ?? "", read.table), strayOf(read))
      }
      return [...found.values()]
    },
    nearMiss: (read) => (isStray(read) ? strayOf(read).meant : undefined),
    asking: (ask) => {
      const reads: Array<Reading.Read> = []
      asked = reads
      try {
        ask()
      } finally {
        asked = undefined
      }
      return reads
    },
    plan: (state, given) => Either.map(draw(state, given), ({ plan }) => plan),
    tables: () => (layout.writers.has(untypedTable) ? untypedTables : undefined),
    observe: (events) => {
      let isStale = false
      hasObserved = true
      for (const event of events) {
        rows.observe(event)
        isStale ||= touches(watched, event)
      }
      if (isStale) blankFor = undefined
      return isStale
    },
  }
}

/** The props that decide what is done, of elements other than tasks. */
const conditions: { readonly [type: string]: ReadonlyArray<string> } = {
  Branch: ["if"],
  Loop: ["until"],
  Scope: ["until", "cancelWhen"],
  ForEach: ["items", "more"],
}

/** A read as a key. That of a table holds no "/", and what comes last may hold anything. */
const readKey = ({ pass, table, nodeId }: Reading.Read): string => `${pass ?? ""}/${table}/${nodeId ?? ""}`

/** Tasks that stand in other loops than before, as the end of a sentence. */
const movedBetween = (before: Reading.Layout, after: Reading.Layout): string => {
  const moved = [...after.tasks].flatMap(([id, { loop }]) => {
    const was = before.tasks.get(id)
    const named = (one: NodeId | undefined): string => (one === undefined ? "no loop" : `loop ${shownId(one)}`)
    return was === undefined || was.loop === loop ? [] : [`${shownId(id)} stands in ${named(was.loop)}, and then in ${named(loop)}`]
  })
  return moved.length === 0 ? "" : ` (${moved.slice(0, 3).join("; ")})`
}

/** The ids in a plan, without those of what undoes something. */
const idsIn = ({ positions, size }: Plan.Plan): ReadonlySet<NodeId> =>
  new Set([...positions].flatMap(([id, position]) => (position < size ? [id] : [])))

/** The ids of the tasks that a run has come to. */
const idsStored = (state: RunState.RunState): ReadonlySet<NodeId> =>
  new Set(RunState.records(state).flatMap(({ kind, nodeId }) => (kind === "step" && isNodeId(nodeId) ? [nodeId] : [])))

/** A node as an error says where it is. */
const placeIn = ({ nodes, positions }: Plan.Plan, id: NodeId): string | undefined => {
  const node = nodes[positions.get(id) ?? -1]
  return node === undefined ? undefined : `${node._tag.toLowerCase()} ${shownId(id)}`
}

/** A read as the core takes note of it. A row that was skipped, or has failed, was read as well: nothing comes of it by itself. */
const readOf = (table: string, { nodeId, row }: Reading.Found, state: RunState.RunState): Plan.Read => ({
  nodeId,
  table,
  key: row !== undefined && RunState.isSettledRow(state, row) ? row : undefined,
})

/** Whether what a task says, or also what elements around it were given, is made of what is pending. */
interface Held {
  readonly inside: boolean
  readonly around: boolean
}

const heldBy = (node: HostNode): Held => {
  const inside = holdsPending(saidIn(node))
  return { inside, around: inside || holdsPending(givenAround(node)) }
}

/** What a node says by itself: its props, but for who does it and what it gives, and what stands in it. */
const saidIn = ({ props, children }: HostNode): unknown => {
  const { agent: _, output: __, workflow: ___, ...said } = props
  return [said, children.map(printedIn)]
}

const printedIn = (child: HostNode["children"][number]): unknown =>
  isText(child) ? child.text : [Object.values(child.props), child.children.map(printedIn)]

/** Tasks and waits in what was drawn, by their ids. */
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
    if (thrown instanceof Reading.ReadError || thrown instanceof RenderError) return otherwise
    throw thrown
  }
}

const passIn = (known: Reading.Known, loop: NodeId | Reading.ReadError | undefined): number => {
  if (loop instanceof Reading.ReadError) throw loop
  return loop === undefined ? 0 : Reading.passOf(known, loop)
}

/** A node whose outputs stand in one table cannot go on in another. */
const checkTables = ({ layout }: Lowered, rows: Rows.Rows): void => {
  for (const [nodeId, { table }] of layout.tasks) {
    const written = rows.tableOf(nodeId)
    if (written === undefined || written === table) continue
    const name = (key: string): string =>
      key === Rows.noTable ? "no output" : key === untypedTable ? "no declared output" : `output "${key}"`
    throw new Reading.ReadError(
      `Task "${nodeId}" has finished in this run with ${name(written)}, and now has ${name(table)}: give the new task another id`,
    )
  }
}

/** A boundary of which it matters whether it has caught something: for what it draws then, or for what is then no longer read. */
interface Catch {
  readonly loop: NodeId | undefined
  readonly cause: FailureCause | undefined
}

/** A look at what has become of a region, or of what stands in it. */
interface Look {
  readonly see: (known: Reading.Known) => string
  readonly found: string
  /** The boundaries that it looks at. */
  readonly watched: (layout: Reading.Layout) => ReadonlyArray<NodeId>
  readonly loop: (layout: Reading.Layout) => NodeId | undefined
}

interface Watched {
  readonly nodes: ReadonlySet<NodeId>
  readonly catches: ReadonlySet<NodeId>
  /** Scopes, races, lists and their parts of which it matters whether they are left, or decided. */
  readonly regions: ReadonlySet<NodeId>
  readonly tables: ReadonlySet<string>
  readonly loops: ReadonlySet<NodeId>
  /** Loops of which only the beginning changes what was read: the last output in a loop is the same in the next pass. */
  readonly begun: ReadonlySet<NodeId>
  /** Also which loop runs has been asked for. */
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
  known: Reading.Known,
  reads: ReadonlyArray<{ readonly read: Reading.Read }>,
  iterations: Iterable<NodeId>,
  anyLoop: boolean,
  catches: ReadonlyMap<NodeId, Catch>,
  looks: ReadonlyMap<string, Look>,
): Watched => {
  const nodes = new Set<NodeId>()
  const tables = new Set<string>()
  const loops = new Set<NodeId>()
  const begun = new Set<NodeId>()
  const around = (loop: NodeId | undefined): void => {
    for (let here = loop; here !== undefined && !loops.has(here); here = known.layout.loops.get(here)) loops.add(here)
  }
  for (const { read } of reads) {
    const nodeId = Reading.nodeOf(known, read)
    if (nodeId === undefined) {
      tables.add(read.table)
      continue
    }
    nodes.add(nodeId)
    const loop = known.layout.tasks.get(nodeId)?.loop
    if (read.pass === "latest" && loop !== undefined) {
      begun.add(loop)
      around(known.layout.loops.get(loop))
    } else around(loop)
  }
  for (const loop of iterations) around(loop)
  // In the next pass nothing is caught yet.
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

/** The error that callers know, of what was thrown while drawing. What neither an author's code nor a check has thrown is a defect. */
const explain = (workflow: string, thrown: unknown): InvalidWorkflow | RenderFailed => {
  if (thrown instanceof InvalidWorkflow) return thrown
  if (thrown instanceof Misplaced) return new InvalidWorkflow({ workflow, where: thrown.where, problem: thrown.message })
  if (thrown instanceof Reading.ReadError) return new RenderFailed({ workflow, problem: said(thrown), cause: thrown })
  if (!(thrown instanceof RenderError)) throw thrown
  const { thrown: cause, where, pending } = thrown
  const last = pending.at(-1)
  const hint = `. The output of "${last?.nodeId ?? last?.table}" was not there yet when this was drawn: where what is made of it cannot do without, read it with outputMaybe`
  const problem = last === undefined ? said(cause) : `${said(cause)}${hint}`
  return new RenderFailed({ workflow, problem, cause, ...defined({ where }) })
}

const said = (thrown: unknown): string =>
  thrown instanceof Error ? `${thrown.name}: ${thrown.message}${Codec.adviceOn(thrown)}` : String(thrown)
