/**
 * Branches of a race and items of a list, by their names: keys that authors gave or, of a branch without one, the first id in it.
 */
import type { HostNode } from "../HostNode.ts"
import { isText } from "../HostNode.ts"
import { idOf, keptIdOf, refuse } from "./place.ts"

/** A branch or an item, and its name in the plan. */
export interface NamedPart {
  readonly node: HostNode
  readonly name: string
}

/** The branches of a race or the items of a list, in order. What is no part of it is the lowering's to refuse. */
export const partsOf = (node: HostNode): ReadonlyArray<NamedPart> =>
  node.children.flatMap((child, index) => (isText(child) ? [] : [{ node: child, name: nameOf(child, index) }]))

const nameOf = (part: HostNode, index: number): string => {
  const { name } = part.props
  if (typeof name === "string" || typeof name === "number") return String(name)
  return (part.type === "RaceBranch" ? firstId(part) : undefined) ?? `#${index + 1}`
}

/** The first id in the order of the document that an author gave. */
const firstId = (part: HostNode): string | undefined => {
  const open: Array<HostNode["children"][number]> = part.children.toReversed()
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (isText(node)) continue
    const id = keptIdOf(node)
    if (typeof id === "string" && node.props.place === undefined) return id
    open.push(...node.children.toReversed())
  }
  return undefined
}

/** Refuses names that are none, or that two parts have. */
export const checkNames = (node: HostNode, parts: ReadonlyArray<NamedPart>): void => {
  const isList = node.type === "ForEach"
  const seen = new Set<string>()
  for (const [index, part] of parts.entries()) {
    const { name: given } = part.node.props
    if (isList && typeof given !== "string" && typeof given !== "number")
      refuse(
        node,
        `the key of item ${index} is ${shownKey(given)}: give it "by", a function of an item that gives text or a number`,
      )
    if (seen.has(part.name))
      refuse(
        node,
        isList
          ? `two of its items have the key ${JSON.stringify(part.name)}: "by" must give each a key of its own`
          : `two of its branches are called ${JSON.stringify(part.name)}: give each a key of its own`,
      )
    seen.add(part.name)
  }
}

const shownKey = (given: unknown): string =>
  typeof given === "object" && given !== null ? "an object" : typeof given === "function" ? "a function" : String(given)

/** Says of an id that is taken how ids in a list are made; nothing elsewhere. */
export const inItem = (item: HostNode | undefined): string =>
  item === undefined
    ? ""
    : `. It stands in an item of ForEach "${idOf(item)}": put the key of the item into the ids in it, such as id={\`\${key}:fix\`}`
