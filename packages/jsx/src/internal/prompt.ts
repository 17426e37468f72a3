/**
 * Prompts: the children of a task, kept as they are until the task runs, and then rendered as Markdown.
 */
import * as Thrown from "@smithers/core/Thrown"
import * as Effect from "effect/Effect"
import type * as React from "react"
import type { Ctx } from "../Ctx.ts"
import { type HostNode, type HostText, isText } from "../HostNode.ts"
import { jsx } from "../jsx-runtime.ts"
import * as Markdown from "../Markdown.ts"
import { RenderError, type Rendered, render } from "../render.ts"
import { hasElements, isPieces, print } from "./children.ts"
import { frameContext } from "./frame.ts"

/** A prompt that is not rendered yet. */
export class Written {
  readonly nodes: ReadonlyArray<Markdown.PromptNode>
  constructor(nodes: ReadonlyArray<Markdown.PromptNode>) {
    this.nodes = nodes
  }
}

export const isWritten = (content: unknown): content is Written => content instanceof Written

/** Creates a prompt from rendered elements. */
export const written = (nodes: ReadonlyArray<HostNode | HostText>): Written => new Written(nodes.map(nodeOf))

/** Creates a prompt from text, in one piece or several. A list is one piece of several lines. */
export const pieces = (children: unknown, areSeveral = isPieces(children)): Written =>
  new Written([areSeveral && Array.isArray(children) ? children.map(print).join("") : print(children)])

const nodeOf = (node: HostNode | HostText): Markdown.PromptNode =>
  isText(node) ? node.text : { type: node.type, props: node.props, children: node.children.map(nodeOf) }

export const write = ({ nodes }: Written): string => Markdown.render(nodes)

/** Resolves the prompt that a function returned: renders elements and awaits promises. The core runs Effects. */
export const resolve = (input: unknown, ctx: Ctx): unknown => {
  if (typeof input === "object" && input !== null && "then" in input && typeof input.then === "function") {
    return Promise.resolve(input).then((value: unknown) => resolve(value, ctx))
  }
  if (Effect.isEffect(input)) return Effect.map(input, (value) => resolve(value, ctx))
  // An empty child is no prompt; the step reports it.
  if (input === undefined || input === null || typeof input === "boolean") return input
  if (!hasElements(input)) return print(input)
  const element = jsx(frameContext.Provider, {
    value: { ctx: () => ctx, caught: () => undefined, nameOf: () => undefined },
    children: input as React.ReactNode,
  })
  const { nodes } = rendered(jsx("Prompt", { children: element }))
  return Markdown.render((nodes[0]?.children ?? []).map(nodeOf))
}

/** Renders a prompt. An error in one of its components is not retried, since it would repeat. */
const rendered = (element: React.ReactElement): Rendered => {
  try {
    return render(element)
  } catch (thrown) {
    const isSlip = thrown instanceof RenderError && Thrown.get(thrown.thrown, "constructor") === TypeError
    throw isSlip ? new TypeError(thrown.message.replace(/^TypeError: /, "")) : thrown
  }
}
