/**
 * TypeScript declarations of prompt files.
 */
import type { Inputs, InputType } from "../PromptInput.ts"
import type { Frontmatter } from "./frontmatter.ts"

/** Declarations of a prompt file. */
interface Declared {
  /** Name of its component. */
  readonly name: string
  readonly file: string
  readonly exports: ReadonlyArray<string>
  readonly frontmatter: Frontmatter
}

/** Returns the declaration of a prompt's component with its props, and of its other exports. */
export const declaration = ({ name, file, exports, frontmatter: { inputs, others } }: Declared): string => {
  const props = inputs === undefined ? ["readonly [name: string]: unknown"] : fieldsOf(inputs)
  const members = [
    ...props,
    ...(inputs === undefined ? [] : ["readonly children?: React.ReactNode", "readonly components?: object"]),
  ]
  return [
    `// Generated from ${file.split(/[\\/]/).at(-1)}, and updated whenever it changes.`,
    `import type * as React from "react"`,
    "",
    `declare const ${name}: (props: {`,
    ...members.map((member) => `  ${member}`),
    "}) => React.ReactElement",
    `export default ${name}`,
    "",
    ...(exports.includes("frontmatter") ? [] : [`export declare const frontmatter: ${typeOfValue(others)}`]),
    ...exports.map((other) =>
      /^[A-Z]/.test(other)
        ? `export declare const ${other}: (props: { readonly [name: string]: unknown }) => React.ReactNode`
        : `export declare const ${other}: unknown`,
    ),
    "",
  ].join("\n")
}

const fieldsOf = (inputs: Inputs): ReadonlyArray<string> =>
  Object.entries(inputs).map(
    ([name, { type, isOptional }]) =>
      `readonly ${property(name)}${isOptional ? "?" : ""}: ${typeText(type)}${isOptional ? " | undefined" : ""}`,
  )

/** Formats a name as a property. */
export const property = (name: string): string =>
  /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(name) ? name : JSON.stringify(name)

const typeText = (type: InputType): string => {
  switch (type.kind) {
    case "any":
      return "unknown"
    case "literal":
      return JSON.stringify(type.value)
    case "array":
      return `ReadonlyArray<${typeText(type.of)}>`
    case "union":
      return type.of.map(typeText).join(" | ")
    case "fields":
      return `{ ${fieldsOf(type.fields).join("; ")} }`
    default:
      return type.kind
  }
}

const typeOfValue = (value: unknown): string => {
  if (value === null) return "null"
  if (Array.isArray(value)) return `ReadonlyArray<${[...new Set(value.map(typeOfValue))].join(" | ") || "never"}>`
  if (typeof value !== "object") return typeof value
  const fields = Object.entries(value).map(([name, field]) => `readonly ${property(name)}: ${typeOfValue(field)}`)
  return fields.length === 0 ? "{}" : `{ ${fields.join("; ")} }`
}
