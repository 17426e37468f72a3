/**
 * What compiled JSX calls. Elements are React's own, with two additions: what was pending when they were made is known by
 * their props, and children that were written as several pieces are known as such, so that text with values in it is not taken for
 * a value that is an array.
 */
import { name as published } from "@smithers/core/Package"
import * as Raised from "@smithers/core/Raised"
import * as React from "react"
import { isPieces, mark, pieces, withText } from "./internal/children.ts"
import { isKind } from "./internal/place.ts"
import { stampProps } from "./internal/scope.ts"

export type { JSX } from "react"

/** Groups children without a node of its own. */
export const Fragment = React.Fragment

const elementType = Raised.get(React.createElement("task"), "$$typeof")

type Props = { [name: string]: unknown }

/** Names of elements, those of XML among them. */
const name = /^[\p{L}_][\p{L}\p{N}_:.-]*$/u

/** A type that is a text and no name. What is imported from a prompt file is its path, or its text, where nothing compiles it. */
const noName = (type: string): string => {
  const shown = JSON.stringify(type.length > 80 ? `${type.slice(0, 77)}…` : type)
  return /\.mdx?\b/.test(type) || /[<\n]/.test(type)
    ? `an element's type is ${shown}, a file and no component: its import ran before prompts could be compiled. Put preload = ["${published}/mdx"] into bunfig.toml, or run it with the smithers command`
    : `an element's type is ${shown}, which is no name`
}

/** Whether what stands in an element is written into a prompt, and not for React or the plan to make something of. */
const isWritten = (type: unknown): boolean => type === Fragment || (typeof type === "string" && !isKind(type))

/** Makes an element. */
export const jsx = (type: unknown, config: Props, maybeKey?: unknown): React.ReactElement => {
  let props = config
  let key = maybeKey
  if ("key" in config) {
    const { key: spreadKey, ...rest } = config
    key ??= spreadKey
    props = rest
  }
  if (isWritten(type)) {
    if (typeof type === "string" && !name.test(type)) throw new TypeError(noName(type))
    const children = withText(props.children)
    if (children !== props.children) props = { ...props, children }
  }
  stampProps(props)
  const element = { $$typeof: elementType, type, key: key === undefined ? null : `${key}`, ref: props.ref ?? null, props }
  return element as unknown as React.ReactElement
}

/** Makes an element whose children were written as several pieces. */
export const jsxs = (type: unknown, config: Props, key?: unknown): React.ReactElement => {
  const { children } = config
  if (Array.isArray(children) && !isPieces(children)) {
    if (type === "Task" || isWritten(type)) config.children = pieces(children)
    // A component may hand its children on to a task.
    else mark(children)
  }
  return jsx(type, config, key)
}

/** Makes an element, in code compiled for development. */
export const jsxDEV = (type: unknown, config: Props, key?: unknown, isStatic?: boolean): React.ReactElement =>
  isStatic === true ? jsxs(type, config, key) : jsx(type, config, key)
