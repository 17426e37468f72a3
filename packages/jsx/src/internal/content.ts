/**
 * Content of a task: its function, its prompt, or its value.
 */
import * as Codec from "@smithers/core/Codec"
import type { Step } from "@smithers/core/Plan"
import { type HostNode, isText } from "../HostNode.ts"
import { isPending } from "../Pending.ts"
import { isPieces } from "./children.ts"
import { InvalidElement, isKind, refuse } from "./elements.ts"
import { type Lowering, untypedTable } from "./lowering.ts"
import * as Prompt from "./prompt.ts"
import { stampOf } from "./scope.ts"

/** Returns the content of a task: its function, its prompt, or its value. */
export const contentOf = (node: HostNode, isTextual: boolean): unknown => {
  const { children, agent } = node.props
  if (children === undefined)
    return refuse(
      node,
      agent === undefined ? "it has nothing to do: give it a function, a value or an agent" : "it has an agent but no prompt",
    )
  if (isPending(children)) return ""
  if (typeof children === "function") return children
  const isRendered = node.children.length > 0
  if (isRendered) checkPrompt(node, "A task contains a prompt, a function or a value")
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
    if (thrown instanceof TypeError && !(thrown instanceof InvalidElement)) refuse(node, thrown.message)
    throw thrown
  }
}

/** Returns `true` for an element of `createElement` or a clone, which receive several children as an array. */
const isCalled = (node: HostNode, children: unknown): boolean => Array.isArray(children) && stampOf(node.props) === undefined

/** Returns `true` if any of several children is pending. */
const isMadeOfPending = (children: unknown): boolean =>
  isPending(children) || (Array.isArray(children) && children.some((child) => isMadeOfPending(child)))

/**
 * Rejects a static value or text that the task's output does not accept. A value that was made after a read may differ when the
 * task starts; it then fails at that time.
 */
export const checkConstant = (
  node: HostNode,
  content: unknown,
  codec: Step["codec"],
  table: string,
  isFixed: () => boolean,
): void => {
  const isText = Prompt.isWritten(content) || typeof content === "string"
  const issues = Codec.issuesNow(codec, Prompt.isWritten(content) ? Prompt.write(content) : content)
  if (issues === undefined || !isFixed()) return
  if (isText && !Codec.acceptsText(codec))
    refuse(
      node,
      `it has text but no agent, and its output "${table}" does not accept text: give it an agent, a function, or a value that matches`,
    )
  const said = table === untypedTable ? "cannot be stored" : `does not match its output "${table}"`
  refuse(node, `its ${isText ? "text" : "value"} ${said}: ${issues.join("; ")}`)
}

/** Returns `true` for a text output, for which several children are joined. */
export const isTextual = (table: string, lowering: Lowering): boolean =>
  table !== untypedTable && lowering.codecOf(table).inputSchema?.type === "string"

/** Rejects nodes of a plan inside of a prompt. `rule` names what is allowed. */
export const checkPrompt = (asking: HostNode, rule: string, node = asking): void => {
  for (const child of node.children) {
    if (isText(child)) continue
    if (isKind(child.type)) refuse(asking, `it contains a ${child.type}. ${rule}: move other nodes out of it`)
    checkPrompt(asking, rule, child)
  }
}
