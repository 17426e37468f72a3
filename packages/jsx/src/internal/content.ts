/**
 * The content of a task: its function, what there is to write of a prompt, or its value.
 */
import * as Codec from "@smithers/core/Codec"
import type { Step } from "@smithers/core/Plan"
import { type HostNode, isText } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { isPieces } from "./children.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import { isKind, Misplaced, refuse } from "./place.ts"
import * as Prompt from "./prompt.ts"
import { stampOf } from "./scope.ts"

/** What a task does: its function, what there is to write of a prompt, or its value. */
export const contentOf = (node: HostNode, isTextual: boolean): unknown => {
  const { children, agent } = node.props
  if (children === undefined)
    return refuse(
      node,
      agent === undefined ? "it has nothing to do: give it a function, a value or an agent" : "it has an agent and no prompt",
    )
  if (isPending(children)) return ""
  if (typeof children === "function") return children
  const isRendered = node.children.length > 0
  if (isRendered) checkPrompt(node, "A task holds a prompt, a function or a value")
  const isElement = typeof children === "object" && children !== null && "$$typeof" in children
  if (isRendered || isElement) return Prompt.written(node.children)
  if (typeof children === "object" && children !== null && "then" in children) {
    return refuse(node, "its child is a promise: pass a function, which is called when the task runs")
  }
  const isWritten = agent !== undefined || isPieces(children) || (isTextual && Array.isArray(children))
  if (!isWritten) return children
  try {
    const prompt = Prompt.pieces(children, isPieces(children) || isCalled(node, children))
    if (agent !== undefined && Prompt.write(prompt) === "" && !isMadeOfPending(children)) refuse(node, "its prompt is empty")
    return prompt
  } catch (thrown) {
    if (thrown instanceof TypeError && !(thrown instanceof Misplaced)) refuse(node, thrown.message)
    throw thrown
  }
}

/** Whether an element was made by `createElement` or a clone, which take pieces as arguments and keep them as a list. */
const isCalled = (node: HostNode, children: unknown): boolean => Array.isArray(children) && stampOf(node.props) === undefined

/** Whether what is written in pieces holds anything that is not there yet. */
const isMadeOfPending = (children: unknown): boolean =>
  isPending(children) || (Array.isArray(children) && children.some((child) => isMadeOfPending(child)))

/**
 * Refuses a value, or text, that the task's output does not take. What was written after something was read may be another by the time that
 * the task begins; it fails then.
 */
export const checkConstant = (
  node: HostNode,
  content: unknown,
  codec: Step["codec"],
  table: string,
  isFixed: () => boolean,
): void => {
  const isText = Prompt.isWritten(content) || typeof content === "string"
  const issues = Codec.issuesAtOnce(codec, Prompt.isWritten(content) ? Prompt.write(content) : content)
  if (issues === undefined || !isFixed()) return
  if (isText && !Codec.takesText(codec))
    refuse(
      node,
      `it has text and no agent, and its output "${table}" takes no text: give it an agent, or a function or a value of its kind`,
    )
  const said = table === untypedTable ? "cannot be stored" : `does not match its output "${table}"`
  refuse(node, `its ${isText ? "text" : "value"} ${said}: ${issues.join("; ")}`)
}

/** Whether an output is text, so that what is written in pieces is meant as one. */
export const isTextual = (table: string, lowering: Lowering): boolean =>
  table !== untypedTable && lowering.codecOf(table).inputSchema?.type === "string"

/** Refuses nodes of a plan that stand in a prompt. `rule` says what may. */
export const checkPrompt = (asking: HostNode, rule: string, node = asking): void => {
  for (const child of node.children) {
    if (isText(child)) continue
    if (isKind(child.type)) refuse(asking, `a ${child.type} stands in it. ${rule}; put other nodes beside it`)
    checkPrompt(asking, rule, child)
  }
}
