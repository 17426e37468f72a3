/** A binary min-heap. */
export interface Heap<A> {
  readonly size: () => number
  readonly peek: () => A | undefined
  readonly push: (item: A) => void
  readonly pop: () => A | undefined
  /** All items, in no particular order. */
  readonly items: () => ReadonlyArray<A>
}

/** Makes an empty heap ordered by `rank`, smallest first. */
export const make = <A extends {}>(rank: (item: A) => number): Heap<A> => {
  const items: Array<A> = []
  /** Moves an item up from the free place at the end. */
  const rise = (item: A): void => {
    let free = items.length
    while (free > 0) {
      const parent = (free - 1) >> 1
      const above = items[parent]
      if (above === undefined || rank(item) >= rank(above)) break
      items[free] = above
      free = parent
    }
    items[free] = item
  }
  /** Moves an item down from the free place at the top. */
  const sink = (item: A): void => {
    let free = 0
    for (;;) {
      let child = 2 * free + 1
      let below = items[child]
      const right = items[child + 1]
      if (below !== undefined && right !== undefined && rank(right) < rank(below)) {
        below = right
        child++
      }
      if (below === undefined || rank(below) >= rank(item)) break
      items[free] = below
      free = child
    }
    items[free] = item
  }
  return {
    size: () => items.length,
    peek: () => items[0],
    items: () => items,
    push: rise,
    pop: () => {
      const top = items[0]
      const last = items.pop()
      if (last !== undefined && items.length > 0) sink(last)
      return top
    },
  }
}
