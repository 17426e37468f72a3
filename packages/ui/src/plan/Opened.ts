/** The child runs that are open in a plan, at every depth. Plain functions. */
import * as Outline from "./Outline.ts"

/** Most child runs that are open at once. */
export const mostOpen = 50

/** The plan of a child run: of one that goes on as others, that of the latest, whose id is in it. */
export interface Found {
  readonly data: { readonly runId: string; readonly nodes: ReadonlyArray<Outline.PlanNode> } | undefined
  readonly error: Error | null
}

export interface Opened {
  readonly inside: ReadonlyMap<string, Outline.Inside>
  /** Ids of the runs whose plans are shown, in order. */
  readonly wanted: ReadonlyArray<string>
}

export const nothing: Opened = { inside: new Map(), wanted: [] }

/** Finds the open child runs of a plan in the order in which they are drawn, and those within them as far as their plans are known. */
export const find = (
  plan: ReadonlyArray<Outline.PlanNode>,
  open: ReadonlySet<string>,
  found: ReadonlyMap<string, Found>,
): Opened => {
  const inside = new Map<string, Outline.Inside>()
  const wanted = new Set<string>()
  let count = 0
  const stack: Array<{ readonly node: Outline.PlanNode; readonly runId: string | undefined }> = []
  const add = (nodes: ReadonlyArray<Outline.PlanNode>, runId: string | undefined): void => {
    for (const node of nodes.toReversed()) stack.push({ node, runId })
  }
  add(plan, undefined)
  for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
    const { node, runId } = one
    add(node.children, runId)
    if (node.child === undefined || node.id === null) continue
    const key = Outline.keyOf(node.id, runId)
    if (!open.has(key)) continue
    if (count >= mostOpen) {
      inside.set(key, { runId: node.child, says: `not drawn: ${mostOpen} child runs are open at most. Close one` })
      continue
    }
    count++
    // News of a later run come with its own plan, which may name one that is later still.
    const seen = new Set<string>()
    let at = node.child
    let { data, error } = found.get(at) ?? { data: undefined, error: null }
    for (seen.add(at); data !== undefined && !seen.has(data.runId); seen.add(at)) {
      at = data.runId
      const later = found.get(at)
      if (later?.data === undefined) break
      ;({ data, error } = later)
    }
    for (const one of seen) wanted.add(one)
    wanted.add(at)
    if (data !== undefined) {
      inside.set(key, { runId: data.runId, nodes: data.nodes })
      add(data.nodes, data.runId)
    } else inside.set(key, { runId: node.child, says: error === null ? "loading its plan …" : `cannot be read: ${error.message}` })
  }
  return { inside, wanted: [...wanted].sort() }
}
