/**
 * Children of a task as they were written.
 */
import * as React from "react"
import { isPending } from "../Pending.ts"

const written = new WeakSet<object>()

/** Marks children that were written one after another. Values among elements become text, as React takes no objects. */
export const pieces = (children: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const marked = hasElements(children) ? children.map((child) => (isData(child) ? print(child) : child)) : children
  written.add(marked)
  return marked
}

export const isPieces = (children: unknown): boolean => typeof children === "object" && children !== null && written.has(children)

/** Whether React has to render anything among these children. */
export const hasElements = (children: unknown): boolean => {
  if (Array.isArray(children)) return children.some(hasElements)
  return typeof children === "object" && children !== null && "$$typeof" in children
}

/** A value that is neither text nor an element nor nothing. */
const isData = (child: unknown): boolean => {
  if (typeof child !== "object" || child === null || React.isValidElement(child)) return false
  return !(Array.isArray(child) && child.every((item) => !isData(item)))
}

/** A value as text in a prompt: text as it is, nothing for what React shows nothing for, and data as JSON. */
export const print = (value: unknown): string => {
  if (value === null || value === undefined || typeof value === "boolean" || isPending(value)) return ""
  if (Array.isArray(value) && value.every((item) => typeof item !== "object" || item === null || Array.isArray(item))) {
    return value.map(print).join("")
  }
  return typeof value === "object" ? JSON.stringify(value, null, 2) : String(value)
}
