/**
 * The JSX runtime for workflows. Elements are React's own, with two additions. Their props are associated with the pending reads
 * made before them. Children written as several pieces are marked, so that text with values is not taken for an array value.
 */
import { name as published } from "@smithers/core/Package"
import * as Thrown from "@smithers/core/Thrown"
import * as React from "react"
import * as Compatibility from "./Compatibility.ts"
import { isPieces, mark, pieces, withText } from "./internal/children.ts"
import { isKind } from "./internal/elements.ts"
import { stampProps } from "./internal/scope.ts"

export type { JSX } from "react"

/** Groups children without a node of its own. */
export const Fragment = React.Fragment

const elementType = Thrown.get(React.createElement("task"), "$$typeof")

type Props = { readonly [name: string]: unknown }

/** Valid element names, including those of XML. */
const name = /^[\p{L}_][\p{L}\p{N}_:.-]*$/u

/**
 * Returns the error for a type that is a text but not a name. An import of a prompt file is its path, or its text, if no loader
 * compiles it.
 */
const noName = (type: string): string => {
  const shown = JSON.stringify(type.length > 80 ? `${type.slice(0, 77)}…` : type)
  return /\.mdx?\b/.test(type) || /[<\n]/.test(type)
    ? `an element's type is ${shown}, a file instead of a component: it was imported before the loader of prompts was installed. Add preload = ["${published}/mdx"] to bunfig.toml, or run it with the smithers command`
    : `an element's type is ${shown}, which is not a valid name`
}

/** Returns `true` if the children of an element are part of a prompt, rather than nodes of the plan or React's. */
const isWritten = (type: unknown): boolean => type === Fragment || (typeof type === "string" && !isKind(type))

/** Creates an element. */
export const jsx = (written: unknown, config: Props, maybeKey?: unknown): React.ReactElement => {
  const translated = Compatibility.element(written, config)
  const { type } = translated
  let props: Props = translated.props
  let key = maybeKey
  if ("key" in props) {
    const { key: spreadKey, ...rest } = props
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

/** Creates an element with several children. */
export const jsxs = (type: unknown, config: Props, key?: unknown): React.ReactElement => {
  const { children } = config
  if (Array.isArray(children) && !isPieces(children)) {
    if (type === "Task" || isWritten(type)) return jsx(type, { ...config, children: pieces(children) }, key)
    // A component may pass its children on to a task.
    else mark(children)
  }
  return jsx(type, config, key)
}

/** Creates an element, in code compiled for development. */
export const jsxDEV = (type: unknown, config: Props, key?: unknown, isStatic?: boolean): React.ReactElement =>
  isStatic === true ? jsxs(type, config, key) : jsx(type, config, key)
