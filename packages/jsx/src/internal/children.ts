/**
 * Children of a task, and of elements in a prompt, as they were written.
 */
import * as React from "react"
import { isPending } from "../Pending.ts"
import { printed } from "./printed.ts"

const written = new WeakSet<object>()

/** Notes that children were written one after another, as they are. */
export const mark = (children: ReadonlyArray<unknown>): void => {
  written.add(children)
}

/** Marks children that were written one after another. Values among elements become text, as React takes no objects. */
export const pieces = (children: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const marked = hasElements(children) ? children.map(textual) : children
  written.add(marked)
  return marked
}

export const isPieces = (children: unknown): boolean => typeof children === "object" && children !== null && written.has(children)

/** Whether React has to render anything among these children. */
export const hasElements = (children: unknown): boolean => {
  if (Array.isArray(children)) return children.some(hasElements)
  return typeof children === "object" && children !== null && "$$typeof" in children
}

/** A value that React takes for no child, or would run together: an object, or a list without elements. */
const isData = (child: unknown): boolean => {
  if (typeof child === "function" || typeof child === "symbol") return true
  if (typeof child !== "object" || child === null || isElementLike(child) || isPending(child)) return false
  return !Array.isArray(child) || !hasElements(child)
}

/** Whether React knows what this is: an element, a portal, a promise to be waited for. */
const isElementLike = (child: object): boolean => React.isValidElement(child) || "$$typeof" in child || "then" in child

/** Children of an element of a prompt, with data among them as text. The same children where there is none. */
export const withText = (children: unknown): unknown => {
  if (isData(children) && !isPieces(children)) return print(children)
  if (!Array.isArray(children) || !children.some(isData)) return children
  return children.map(textual)
}

const textual = (child: unknown): unknown => (isData(child) ? print(child) : child)

/** A value as text in a prompt; nothing for what is pending. */
export const print = (value: unknown): string => (isPending(value) ? "" : printed(value))
