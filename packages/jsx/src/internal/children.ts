/**
 * Children of a task, and of elements in a prompt, as written.
 */
import * as React from "react"
import { isPending } from "../Pending.ts"
import { printed } from "./printed.ts"

const written = new WeakSet<object>()

/** Marks a list as children that were written as several pieces. */
export const mark = (children: ReadonlyArray<unknown>): void => {
  written.add(children)
}

/** Marks several children. Converts values among elements to text, since React accepts no objects. */
export const pieces = (children: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const marked = hasElements(children) ? children.map(textual) : children
  written.add(marked)
  return marked
}

export const isPieces = (children: unknown): boolean => typeof children === "object" && children !== null && written.has(children)

/** Returns `true` if React has to render any of these children. */
export const hasElements = (children: unknown): boolean => {
  if (Array.isArray(children)) return children.some(hasElements)
  return typeof children === "object" && children !== null && "$$typeof" in children
}

/** Returns `true` for a value that React rejects as a child or would concatenate: an object, or a list without elements. */
const isData = (child: unknown): boolean => {
  if (typeof child === "function" || typeof child === "symbol") return true
  if (typeof child !== "object" || child === null || isElementLike(child) || isPending(child)) return false
  return !Array.isArray(child) || !hasElements(child)
}

/** Returns `true` for values that React handles: elements, portals, promises. */
const isElementLike = (child: object): boolean => React.isValidElement(child) || "$$typeof" in child || "then" in child

/** Converts data among the children of a prompt element to text. Returns the same children if there is none. */
export const withText = (children: unknown): unknown => {
  if (isData(children) && !isPieces(children)) return print(children)
  if (!Array.isArray(children) || !children.some(isData)) return children
  return children.map(textual)
}

const textual = (child: unknown): unknown => (isData(child) ? print(child) : child)

/** Prints a value as text in a prompt; a pending one as nothing. */
export const print = (value: unknown): string => (isPending(value) ? "" : printed(value))
