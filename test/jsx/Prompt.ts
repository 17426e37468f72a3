/** Renders elements to the text an agent is given, without a workflow around them. */
import * as React from "react"
import { type PromptNode, render } from "../../packages/jsx/src/Markdown.ts"

/** Calls components and collects what they come to, as a reconciler would that keeps no state. */
const nodesOf = (node: React.ReactNode): ReadonlyArray<PromptNode> => {
  if (node === null || node === undefined || typeof node === "boolean") return []
  if (typeof node === "string" || typeof node === "number" || typeof node === "bigint") return [`${node}`]
  if (typeof node === "function") return []
  if (!React.isValidElement<{ readonly children?: React.ReactNode }>(node))
    return Array.from(node as Iterable<React.ReactNode>).flatMap(nodesOf)
  const { type, props } = node
  if (type === React.Fragment) return nodesOf(props.children)
  if (typeof type === "function") return nodesOf((type as (props: unknown) => React.ReactNode)(props))
  return [
    {
      type: `${type as unknown as string}`,
      props: props as { readonly [name: string]: unknown },
      children: nodesOf(props.children),
    },
  ]
}

export const textOf = (node: React.ReactNode): string => render(nodesOf(node))
