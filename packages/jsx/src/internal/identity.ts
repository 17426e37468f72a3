/**
 * Identifies loops, sagas and tries without an id across renders. Their name is their path, which changes with elements around
 * them and with earlier items of a list, so they are matched by the tasks they contain.
 */

import type { NodeId } from "@smithers/core/Ids"
import type * as Plan from "@smithers/core/Plan"
import * as Arr from "effect/Array"
import type { HostNode } from "../HostNode.ts"
import { refuse } from "./elements.ts"

/** A loop, saga or try in a render, outermost first. */
export interface Placed {
  readonly node: HostNode
  readonly kind: Kind
  /** Its path in the tree. */
  readonly path: string
  readonly id: NodeId
  /** `true` for an item of a list without a key. */
  readonly isListItem: boolean
  readonly tasks: ReadonlyArray<NodeId>
}

type Kind = "loop" | "saga" | "try"

/** Containers of a task, innermost first. */
type Chain = ReadonlyArray<{ readonly kind: Kind; readonly id: string }>

/** Tasks by id, with their containers that have no id. */
export type Holders = ReadonlyMap<NodeId, Chain>

/** Names that differ from the path. */
export type Names = ReadonlyMap<string, string>

/** Returns the containers of each task in a render, named by `nameOf`. */
export const holdersOf = (placed: ReadonlyArray<Placed>, nameOf = ({ id }: Placed): string => id): Holders => {
  const found = new Map<NodeId, Array<Chain[number]>>()
  for (const one of placed) {
    for (const task of one.tasks) {
      const known = found.get(task)
      const entry = { kind: one.kind, id: nameOf(one) }
      if (known === undefined) found.set(task, [entry])
      else known.unshift(entry)
    }
  }
  return found
}

const kinds: { readonly [tag: string]: Kind } = { Loop: "loop", Saga: "saga", TryCatch: "try" }

/** Returns the containers of each task in a stored plan. */
export const holdersIn = ({ nodes, end }: Plan.PlanOutline): Holders => {
  const found = new Map<NodeId, Chain>()
  const around: Array<{ readonly kind: Kind; readonly id: string; readonly end: number }> = []
  for (const [position, { _tag, id }] of nodes.entries()) {
    while (around.length > 0 && (around[0]?.end ?? 0) <= position) around.shift()
    if (id === undefined) continue
    const kind = kinds[_tag]
    if (kind === undefined)
      found.set(
        id,
        around.map(({ kind: outer, id: name }) => ({ kind: outer, id: name })),
      )
    else if (id.startsWith(`${kind}:`)) around.unshift({ kind, id, end: end(position) })
  }
  return found
}

/**
 * Names the containers of a render. `hasBegun` returns `true` if a container of the previous render has stored state. Throws
 * `InvalidElement` if the match is ambiguous.
 */
export const namesOf = (placed: ReadonlyArray<Placed>, before: Holders, hasBegun: (kind: Kind, id: string) => boolean): Names => {
  if (placed.length === 0) return new Map()
  const votes = votesOf(placed, before, hasBegun)
  const held = new Map<string, Array<NodeId>>()
  for (const [task, chain] of before) {
    for (const { id } of chain) {
      const tasks = held.get(id)
      if (tasks === undefined) held.set(id, [task])
      else tasks.push(task)
    }
  }
  const names = new Map<string, string>()
  const taken = new Map<string, Placed>()
  const take = (one: Placed, id: string): void => {
    const other = taken.get(id)
    if (other !== undefined) {
      const both = [other, one].map(({ tasks }) => `"${tasks[0]}"`).join(" and ")
      refuse(
        one.node,
        `tasks that were in one ${one.kind} are now in two (${both}), and its stored state belongs to one of them: ${cureOf(one)}`,
      )
    }
    taken.set(id, one)
    if (id !== one.path) names.set(one.path, id)
  }
  for (const one of placed) {
    const wanted = votes.get(one.path)
    const [name] = wanted?.keys() ?? []
    if (wanted === undefined || name === undefined) continue
    if (wanted.size > 1) {
      const [first, second] = [...wanted.values()]
      refuse(
        one.node,
        `it contains tasks that were in several before ("${first}" and "${second}"), each of which has stored state: ${cureOf(one)}`,
      )
    }
    take(one, name)
  }
  for (const one of placed) {
    if ((votes.get(one.path)?.size ?? 0) > 0) continue
    const were = taken.has(one.path) ? undefined : held.get(one.path)
    const isOther = were !== undefined && !were.some((task) => one.tasks.includes(task))
    if (isOther && one.isListItem && one.tasks.length > 0 && hasBegun(one.kind, one.path)) {
      refuse(
        one.node,
        `it has the place of the ${one.kind} of "${were[0]}" in the list, but contains "${one.tasks[0]}", so its identity is ambiguous: ${cureOf(one)}`,
      )
    }
    let id = one.path
    for (let count = 2; taken.has(id) || (id !== one.path && hasBegun(one.kind, id)); count++) id = `${one.path}+${count}`
    take(one, id)
  }
  return names
}

const cureOf = ({ kind }: Placed): string => `give the ${kind} an id, or the items of its list keys`

/** Returns the matches of each container with one of the previous render, by name, each with a task that supports it. */
const votesOf = (
  placed: ReadonlyArray<Placed>,
  before: Holders,
  hasBegun: (kind: Kind, id: string) => boolean,
): ReadonlyMap<string, ReadonlyMap<string, NodeId>> => {
  const votes = new Map<string, Map<string, NodeId>>()
  for (const [task, now] of holdersOf(placed, ({ path }) => path)) {
    const was = before.get(task)
    if (was === undefined) continue
    for (const [path, id] of pairs(now, was)) {
      const [{ kind } = { kind: "loop" as const }] = now.filter((one) => one.id === path)
      if (!hasBegun(kind, id)) continue
      const known = votes.get(path) ?? new Map<string, NodeId>()
      if (!known.has(id)) known.set(id, task)
      votes.set(path, known)
    }
  }
  return votes
}

/** Pairs the containers of a task in two renders by kind: those at the same path first, then the others from the inside out. */
const pairs = (now: Chain, was: Chain): ReadonlyArray<readonly [path: string, id: string]> =>
  (["loop", "saga", "try"] as const).flatMap((kind) => {
    const idsOf = (chain: Chain): ReadonlyArray<string> => chain.flatMap((one) => (one.kind === kind ? [one.id] : []))
    const [paths, ids] = [idsOf(now), idsOf(was)]
    if (paths.length === ids.length) return Arr.zip(paths, ids)
    const same = paths.filter((path) => ids.includes(path))
    const [others, left] = [paths.filter((path) => !same.includes(path)), ids.filter((id) => !same.includes(id))]
    return [...same.map((path) => [path, path] as const), ...Arr.zip(others, left)]
  })
