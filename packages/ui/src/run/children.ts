/** The child runs that are open in the plan of a run: their plans, asked for as they are opened, at every depth. */
import { useQueries } from "@tanstack/react-query"
import { useEffect, useMemo, useState } from "react"
import type * as Answers from "../api/Answers.ts"
import * as Queries from "../api/Queries.ts"
import * as Outline from "../plan/Outline.ts"

/** Most child runs that are open at once. */
const mostOpen = 50

const none: ReadonlyArray<string> = []

interface Found {
  readonly data: Answers.Plan | undefined
  readonly error: Error | null
}

/** Finds the open child runs of a plan, and those within them as far as their plans are known. */
const opened = (
  plan: ReadonlyArray<Outline.PlanNode>,
  open: ReadonlySet<string>,
  found: ReadonlyMap<string, Found>,
): ReadonlyMap<string, Outline.Inside> => {
  const inside = new Map<string, Outline.Inside>()
  const stack: Array<{ readonly node: Outline.PlanNode; readonly runId: string | undefined }> = []
  const add = (nodes: ReadonlyArray<Outline.PlanNode>, runId: string | undefined): void => {
    for (const node of nodes) stack.push({ node, runId })
  }
  add(plan, undefined)
  for (let one = stack.pop(); one !== undefined; one = stack.pop()) {
    const { node, runId } = one
    add(node.children, runId)
    if (node.child === undefined || node.id === null || inside.size >= mostOpen) continue
    const key = Outline.keyOf(node.id, runId)
    if (!open.has(key)) continue
    const { data, error } = found.get(node.child) ?? { data: undefined, error: null }
    if (data !== undefined) {
      inside.set(key, { runId: node.child, nodes: data.nodes })
      add(data.nodes, node.child)
    } else inside.set(key, { runId: node.child, says: error === null ? "loading its plan …" : `cannot be read: ${error.message}` })
  }
  return inside
}

/** The plans of the open child runs by the key of their node; as of a time, if one is given. */
export const useInside = (
  plan: ReadonlyArray<Outline.PlanNode> | undefined,
  open: ReadonlySet<string>,
  at: number | undefined,
): ReadonlyMap<string, Outline.Inside> => {
  const [runIds, setRunIds] = useState(none)
  const found = useQueries({
    queries: runIds.map((runId) => Queries.planAt(runId, at)),
    combine: (results) => results.map(({ data, error }) => ({ data, error })),
  })
  const inside = useMemo(() => {
    // Most plans have nothing open, and are not walked.
    if (plan === undefined || open.size === 0) return new Map<string, Outline.Inside>()
    return opened(plan, open, new Map(runIds.map((runId, index) => [runId, found[index] ?? { data: undefined, error: null }])))
  }, [plan, open, runIds, found])
  useEffect(() => {
    const wanted = [...new Set([...inside.values()].map(({ runId }) => runId))].sort()
    setRunIds((before) => (before.join("\n") === wanted.join("\n") ? before : wanted))
  }, [inside])
  return inside
}
