/** Where rows stand: the passes that the loops around a node were in, told from the passes that began. */
import { type BoundarySpec, type Index, isBoundary, outwards, type Part } from "./Scenario.ts"

/** A boundary around a node, in the instance that a row of the node belongs to, and the part of it that the node is in. */
interface Around {
  readonly boundary: BoundarySpec
  readonly row: number
  readonly part: Part
}

export interface Places {
  /** Takes note that a pass of a loop began: of the loop in its row `outer`. */
  readonly note: (loop: string, row: number, outer: number, pass: number) => void
  /** The passes of the loops around a node, the outermost first; `undefined` where such a pass never began. */
  readonly place: (label: string, row: number) => string | undefined
  /** The boundaries around a row, the innermost first. */
  readonly around: (label: string, row: number) => ReadonlyArray<Around>
  /** The row of a loop in which it made the pass of this row. */
  readonly outer: (loop: string, row: number) => number
}

export const make = (plan: Index): Places => {
  const passes = new Map<string, { readonly outer: number; readonly pass: number }>()
  const place: Places["place"] = (label, row) => {
    const loop = plan.loopOf(label)
    if (loop === undefined) return row === 0 ? "" : undefined
    const found = passes.get(`${loop.label}/${row}`)
    const before = found && place(loop.label, found.outer)
    return before === undefined ? undefined : `${before}${before === "" ? "" : "."}${found?.pass}`
  }
  return {
    note: (loop, row, outer, pass) => {
      passes.set(`${loop}/${row}`, { outer, pass })
    },
    place,
    outer: (loop, row) => passes.get(`${loop}/${row}`)?.outer ?? 0,
    around: (label, row) => {
      const found: Array<Around> = []
      let here = row
      for (const up of outwards(plan, label)) {
        if (up.kind === "loop") here = passes.get(`${up.label}/${here}`)?.outer ?? 0
        if (isBoundary(up)) found.push({ boundary: up, row: here, part: plan.partOf(up, label) })
      }
      return found
    },
  }
}
