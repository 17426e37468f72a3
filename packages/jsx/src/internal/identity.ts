/**
 * Which loop, saga or try of the drawing before one without an id is. It is named by its place, and a place changes with what is put around it and
 * with what is before it in a list; so it is looked for by the tasks that it holds.
 */

import type { NodeId } from "@smithers/core/Ids"
import type * as Plan from "@smithers/core/Plan"
import * as Arr from "effect/Array"
import type { HostNode } from "../HostNode.ts"
import { refuse } from "./place.ts"

/** One of those in a drawing, from the outside in. */
export interface Placed {
  readonly node: HostNode
  readonly kind: Kind
  /** The name of its place. */
  readonly place: string
  readonly id: NodeId
  /** An item of a list that has no key. */
  readonly isListItem: boolean
  readonly tasks: ReadonlyArray<NodeId>
}

type Kind = "loop" | "saga" | "try"

/** Those around a task, the innermost first. */
type Chain = ReadonlyArray<{ readonly kind: Kind; readonly id: string }>

/** Tasks by id, with what is around them that has no id of its own. */
export type Holders = ReadonlyMap<NodeId, Chain>

/** Names of places that are not those of the places themselves. */
export type Names = ReadonlyMap<string, string>

/** What holds which task in a drawing, by `nameOf`. */
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

/** The same of a plan that is stored. */
export const holdersIn = ({ nodes, end }: Plan.Drawing): Holders => {
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
 * Names what is in a drawing. `hasBegun` says of what the drawing before had whether anything is kept of it. Throws `Misplaced` where it cannot be
 * told which of several it is.
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
        `tasks that were in one ${one.kind} are in two now (${both}), and what it has done is kept for one: ${cureOf(one)}`,
      )
    }
    taken.set(id, one)
    if (id !== one.place) names.set(one.place, id)
  }
  for (const one of placed) {
    const wanted = votes.get(one.place)
    const [name] = wanted?.keys() ?? []
    if (wanted === undefined || name === undefined) continue
    if (wanted.size > 1) {
      const [first, second] = [...wanted.values()]
      refuse(
        one.node,
        `it holds tasks that were in several before ("${first}" and "${second}"), and each of those has done something: ${cureOf(one)}`,
      )
    }
    take(one, name)
  }
  for (const one of placed) {
    if ((votes.get(one.place)?.size ?? 0) > 0) continue
    const were = taken.has(one.place) ? undefined : held.get(one.place)
    const isOther = were !== undefined && !were.some((task) => one.tasks.includes(task))
    if (isOther && one.isListItem && one.tasks.length > 0 && hasBegun(one.kind, one.place)) {
      refuse(
        one.node,
        `it stands where the ${one.kind} of "${were[0]}" stood in the list, and holds "${one.tasks[0]}": it cannot be told whether it is the same: ${cureOf(one)}`,
      )
    }
    let id = one.place
    for (let count = 2; taken.has(id) || (id !== one.place && hasBegun(one.kind, id)); count++) id = `${one.place}+${count}`
    take(one, id)
  }
  return names
}

const cureOf = ({ kind }: Placed): string => `give the ${kind} an id, or the items of its list keys`

/** What each of a drawing was in the drawing before, by its tasks: of each name a task that says so. */
const votesOf = (
  placed: ReadonlyArray<Placed>,
  before: Holders,
  hasBegun: (kind: Kind, id: string) => boolean,
): ReadonlyMap<string, ReadonlyMap<string, NodeId>> => {
  const votes = new Map<string, Map<string, NodeId>>()
  for (const [task, now] of holdersOf(placed, ({ place }) => place)) {
    const was = before.get(task)
    if (was === undefined) continue
    for (const [place, id] of pairs(now, was)) {
      const [{ kind } = { kind: "loop" as const }] = now.filter((one) => one.id === place)
      if (!hasBegun(kind, id)) continue
      const known = votes.get(place) ?? new Map<string, NodeId>()
      if (!known.has(id)) known.set(id, task)
      votes.set(place, known)
    }
  }
  return votes
}

/** What is around a task now, beside what was around it of the same kind: what stands where it stood, and the others from the inside out. */
const pairs = (now: Chain, was: Chain): ReadonlyArray<readonly [place: string, id: string]> =>
  (["loop", "saga", "try"] as const).flatMap((kind) => {
    const idsOf = (chain: Chain): ReadonlyArray<string> => chain.flatMap((one) => (one.kind === kind ? [one.id] : []))
    const [places, ids] = [idsOf(now), idsOf(was)]
    if (places.length === ids.length) return Arr.zip(places, ids)
    const same = places.filter((place) => ids.includes(place))
    const [others, left] = [places.filter((place) => !same.includes(place)), ids.filter((id) => !same.includes(id))]
    return [...same.map((place) => [place, place] as const), ...Arr.zip(others, left)]
  })
