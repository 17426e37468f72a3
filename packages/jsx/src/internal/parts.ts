/**
 * Branches of a race and items of a list, by name: the author's key or, for a branch without one, the first id in it.
 */
import type { HostNode } from "../HostNode.ts"
import { isText } from "../HostNode.ts"
import { idOf, keptIdOf, refuse } from "./elements.ts"

/** A branch or an item, with its name in the plan. */
export interface NamedPart {
  readonly node: HostNode
  readonly name: string
}

/** Returns the branches of a race or the items of a list, in order. The lowering rejects other children. */
export const partsOf = (node: HostNode): ReadonlyArray<NamedPart> =>
  node.children.flatMap((child, index) => (isText(child) ? [] : [{ node: child, name: nameOf(child, index) }]))

const nameOf = (part: HostNode, index: number): string => {
  const { name } = part.props
  if (typeof name === "string" || typeof name === "number") return String(name)
  return (part.type === "RaceBranch" ? firstId(part) : undefined) ?? `#${index + 1}`
}

/** Returns the first id in document order that an author gave. */
const firstId = (part: HostNode): string | undefined => {
  const open: Array<HostNode["children"][number]> = part.children.toReversed()
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isText(node)) continue
    const id = keptIdOf(node)
    if (typeof id === "string" && node.props.path === undefined) return id
    open.push(...node.children.toReversed())
  }
  return undefined
}

/** Rejects invalid and duplicate names. */
export const checkNames = (node: HostNode, parts: ReadonlyArray<NamedPart>): void => {
  const isList = node.type === "ForEach"
  const seen = new Set<string>()
  for (const [index, part] of parts.entries()) {
    const { name: value } = part.node.props
    if (isList && typeof value !== "string" && typeof value !== "number")
      refuse(node, `the key of item ${index} is ${shownKey(value)}: add "by", a function of an item that returns text or a number`)
    if (seen.has(part.name))
      refuse(
        node,
        isList
          ? `two of its items have the key ${JSON.stringify(part.name)}: "by" must return unique keys`
          : `two of its branches have the name ${JSON.stringify(part.name)}: give each a unique key`,
      )
    seen.add(part.name)
  }
}

const shownKey = (value: unknown): string =>
  typeof value === "object" && value !== null ? "an object" : typeof value === "function" ? "a function" : String(value)

/** Explains how to make ids in a list unique, for a duplicate id in a list item. */
export const inItem = (item: HostNode | undefined): string =>
  item === undefined
    ? ""
    : `. It is in an item of ForEach "${idOf(item)}": include the key of the item in its ids, such as id={\`\${key}:fix\`}`
