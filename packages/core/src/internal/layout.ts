/**
 * Lays out a tree in document order (preorder): a node is identified by its position, and its place in the tree by integers.
 * Nodes that are appended later are outside the tree.
 */

/** A tree by positions. The subtree of `position` is `position … end(position) - 1`. */
export interface Layout<Node> {
  readonly nodes: Array<Node>
  /** Throws a `RangeError` for a position without a node. */
  readonly node: (position: number) => Node
  /** -1 for the root, and for nodes outside the tree. */
  readonly parent: (position: number) => number
  readonly end: (position: number) => number
  /** Tells whether a node is another one, or inside it. */
  readonly contains: (outer: number, inner: number) => boolean
}

/** Lays out a tree. Uses lists instead of recursion, so that a tree may be of any depth. */
export const make = <Node>(root: Node, children: (node: Node) => ReadonlyArray<Node>): Layout<Node> => {
  const nodes: Array<Node> = []
  const above: Array<number> = []
  const ahead: Array<readonly [node: Node, parent: number]> = [[root, -1]]
  for (let entry = ahead.pop(); entry !== undefined; entry = ahead.pop()) {
    const position = nodes.push(entry[0]) - 1
    above.push(entry[1])
    const inside = children(entry[0])
    for (let index = inside.length - 1; index >= 0; index--) {
      const child = inside[index]
      if (child !== undefined) ahead.push([child, position])
    }
  }
  const parents = Int32Array.from(above)
  const ends = new Int32Array(nodes.length)
  const parent = (position: number): number => parents[position] ?? -1
  const end = (position: number): number => ends[position] ?? position + 1
  for (let position = nodes.length - 1; position >= 0; position--) {
    ends[position] = Math.max(end(position), position + 1)
    const up = parent(position)
    if (up >= 0) ends[up] = Math.max(end(up), end(position))
  }
  return {
    nodes,
    node: (position) => {
      const node = nodes[position]
      if (node === undefined) throw new RangeError(`a plan of ${nodes.length} nodes has none at ${position}`)
      return node
    },
    parent,
    end,
    contains: (outer, inner) => outer <= inner && inner < end(outer),
  }
}
