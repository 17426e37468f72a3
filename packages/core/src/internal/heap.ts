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
export const make = <A>(rank: (item: A) => number): Heap<A> => {
  const items: Array<A> = []
  const less = (left: number, right: number): boolean => rank(items[left] as A) < rank(items[right] as A)
  const swap = (left: number, right: number): void => {
    const kept = items[left] as A
    items[left] = items[right] as A
    items[right] = kept
  }
  return {
    size: () => items.length,
    peek: () => items[0],
    items: () => items,
    push: (item) => {
      let child = items.push(item) - 1
      while (child > 0) {
        const parent = (child - 1) >> 1
        if (!less(child, parent)) break
        swap(child, parent)
        child = parent
      }
    },
    pop: () => {
      if (items.length < 2) return items.pop()
      const top = items[0]
      items[0] = items.pop() as A
      let parent = 0
      for (;;) {
        const left = 2 * parent + 1
        if (left >= items.length) break
        const right = left + 1
        const smallest = right < items.length && less(right, left) ? right : left
        if (!less(smallest, parent)) break
        swap(smallest, parent)
        parent = smallest
      }
      return top
    },
  }
}
