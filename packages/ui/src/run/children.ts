/** The child runs that are open in the plan of a run: their plans, asked for as they are opened, at every depth. */
import { useQueries } from "@tanstack/react-query"
import { useEffect, useMemo, useState } from "react"
import * as Queries from "../api/Queries.ts"
import * as Opened from "../plan/Opened.ts"
import type * as Outline from "../plan/Outline.ts"

const none: ReadonlyArray<string> = []

/** The plans of the open child runs by the key of their node; as of a time, if one is given. */
export const useInside = (
  plan: ReadonlyArray<Outline.PlanNode> | undefined,
  open: ReadonlySet<string>,
  at: number | undefined,
): ReadonlyMap<string, Outline.Inside> => {
  const [runIds, setRunIds] = useState(none)
  const found = useQueries({
    queries: runIds.map((runId) => Queries.childPlan(runId, at)),
    combine: (results) => results.map(({ data, error }) => ({ data, error })),
  })
  const { inside, wanted } = useMemo(() => {
    // Most plans have nothing open, and are not walked.
    if (plan === undefined || open.size === 0) return Opened.nothing
    const known = runIds.map((runId, index) => [runId, found[index] ?? { data: undefined, error: null }] as const)
    return Opened.find(plan, open, new Map(known))
  }, [plan, open, runIds, found])
  useEffect(() => {
    setRunIds((before) => (before.join("\n") === wanted.join("\n") ? before : wanted))
  }, [wanted])
  return inside
}
