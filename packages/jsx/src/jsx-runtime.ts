/**
 * What compiled JSX calls. Elements are React's own, with two additions: what was pending when they were made is known by
 * their props, and children that were written as several pieces are known as such, so that text with values in it is not taken for
 * a value that is an array.
 */
import * as React from "react"
import { isPieces, pieces } from "./internal/children.ts"
import { stampProps } from "./internal/scope.ts"

export type { JSX } from "react"

/** Groups children without a node of its own. */
export const Fragment = React.Fragment

const elementType = (React.createElement("task") as unknown as { readonly $$typeof: symbol }).$$typeof

type Props = { [name: string]: unknown }

/** Makes an element. */
export const jsx = (type: unknown, config: Props, maybeKey?: unknown): React.ReactElement => {
  let props = config
  let key = maybeKey
  if ("key" in config) {
    const { key: spreadKey, ...rest } = config
    key ??= spreadKey
    props = rest
  }
  stampProps(props)
  const element = { $$typeof: elementType, type, key: key === undefined ? null : `${key}`, ref: props.ref ?? null, props }
  return element as unknown as React.ReactElement
}

/** Makes an element whose children were written as several pieces. */
export const jsxs = (type: unknown, config: Props, key?: unknown): React.ReactElement => {
  const { children } = config
  if (type === "Task" && Array.isArray(children) && !isPieces(children)) config.children = pieces(children)
  return jsx(type, config, key)
}

/** Makes an element, in code compiled for development. */
export const jsxDEV = (type: unknown, config: Props, key?: unknown, isStatic?: boolean): React.ReactElement =>
  isStatic === true ? jsxs(type, config, key) : jsx(type, config, key)
