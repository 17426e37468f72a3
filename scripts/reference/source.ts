/**
 * What the source says of itself: the members of types, the functions of modules, and their docstrings.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import ts from "typescript"

export const root = join(import.meta.dirname, "..", "..")
export const read = (path: string): string => readFileSync(join(root, path), "utf8")
export const cell = (text: string): string =>
  text
    .replaceAll("|", "\\|")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim()
export const code = (text: string): string => (text === "" ? "" : `\`${cell(text)}\``)
export const table = (head: ReadonlyArray<string>, rows: ReadonlyArray<ReadonlyArray<string>>): string =>
  [head, head.map(() => "---"), ...rows].map((row) => `| ${row.join(" | ")} |`).join("\n")

const files = new Map<string, ts.SourceFile>()
export const fileOf = (path: string): ts.SourceFile => {
  const known = files.get(path)
  if (known !== undefined) return known
  const file = ts.createSourceFile(path, read(path), ts.ScriptTarget.Latest, true)
  files.set(path, file)
  return file
}

/** The docstring of a node, without line breaks. */
export const docOf = (node: ts.Node): string => {
  const [last] = ts.getJSDocCommentsAndTags(node).filter(ts.isJSDoc).toReversed()
  if (last === undefined) return ""
  const text = ts.getTextOfJSDocComment(last.comment) ?? ""
  return text
    .replaceAll(/\{@link(?:code)? (\S+?)(?: [^}]*)?\}/g, "`$1`")
    .replaceAll(/\s*\n\s*/g, " ")
    .trim()
}

interface Member {
  readonly name: string
  readonly type: string
  readonly isOptional: boolean
  readonly doc: string
}

const declarationOf = (file: ts.SourceFile, name: string): ts.InterfaceDeclaration | ts.TypeAliasDeclaration => {
  const found = file.statements.find(
    (one): one is ts.InterfaceDeclaration | ts.TypeAliasDeclaration =>
      (ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)) && one.name.text === name,
  )
  if (found === undefined) throw new Error(`${file.fileName} declares no type ${name}`)
  return found
}

/** Names of type parameters, as they are meant to be read. */
const parameters: { readonly [name: string]: string } = {
  S: "schema",
  O: "schema or its key",
  D: "{ name: schema or its key }",
  N: "{ name: node }",
  Err: "schema",
  Code: "function",
  "Content<S, Input, O, D, Given, All>": "value, function or prompt",
  '"agent" extends keyof All ? number : "a Task without an agent has no corrections"': "number",
}

/** The types that a front end uses to check, as they are meant to be read. */
const simplified = (type: string, known: ReadonlyMap<string, string> = new Map()): string => {
  const bare = type
    .replaceAll(/\s+/g, " ")
    .replaceAll(/NoInfer<(\w+)>/g, "$1")
    .replace(/^\| /, "")
  const named = known.get(bare) ?? bare
  const text = parameters[named] ?? named
  if (/^NoInfer< ?\[keyof D\]/.test(text)) return "{ name: id of a task }"
  if (text.includes("RetryOptions<")) return "RetryOptions | Schedule | false"
  if (text.startsWith("TryParts<")) return text
  if (text.includes("RunContext<")) return "function"
  if (/^[A-Z]$/.test(text)) return "schema"
  const having = /^Having<\w, (.+)>$/.exec(text)
  if (having !== null) return `schema of ${having[1]?.replaceAll(/readonly /g, "").replaceAll("ReadonlyArray", "Array")}`
  const given = /^GivenAs<[^,]+, ([^,]+|"[^>]*), \[/.exec(text)
  if (given !== null) return `${given[1]}, or a function of ctx`
  return text
    .replaceAll(/FunctionGiving<(\w+), InsteadOf<unknown>, \[[^\]]*\]>/g, "((ctx) => $1)")
    .replaceAll(/GivenBy<(.+?), Input, N>/g, "$1, or a function that gives it")
    .replaceAll(/NoInfer<(\w+(?:<[^<>]*>)?)>/g, "$1")
    .replaceAll(/Ctx<S, Input>/g, "Ctx")
    .replaceAll(/\b(Condition|RunContext|Looking)<Input, N>/g, "$1")
    .replaceAll(/(\w+)\.(Duration\w+)/g, "$2")
    .replaceAll("DurationLike", "Duration")
    .replaceAll(/React\.ComponentProps<typeof \w+>\["timeout"\]/g, "Duration")
    .replaceAll(/ValueOf<\w>(?:\["issues"\]\[number\])?/g, "value")
    .replaceAll("Duration.DurationInput", "Duration")
    .replaceAll("DurationInput", "Duration")
    .replaceAll("ReadonlyArray", "Array")
    .replaceAll("readonly ", "")
}

/** What type parameters stand for: what was given, or else what they have to be. */
const parametersOf = (
  node: ts.InterfaceDeclaration | ts.TypeAliasDeclaration,
  given: ReadonlyArray<string>,
): ReadonlyMap<string, string> =>
  new Map(
    (node.typeParameters ?? []).flatMap((parameter, index) => {
      const text = given[index] ?? parameter.constraint?.getText() ?? ""
      return /^(boolean|"[^,<]+)$/.test(text) ? [[parameter.name.text, text] as const] : []
    }),
  )

const membersOfNode = (
  file: ts.SourceFile,
  node: ts.Node,
  known: ReadonlyMap<string, string> = new Map(),
): ReadonlyArray<Member> => {
  if (ts.isInterfaceDeclaration(node)) {
    const inherited = (node.heritageClauses ?? [])
      .flatMap((clause) => clause.types)
      .flatMap((type) => membersOfNode(file, type, known))
    return [...inherited, ...node.members.flatMap((member) => membersOfNode(file, member, known))]
  }
  if (ts.isTypeAliasDeclaration(node)) return membersOfNode(file, node.type, known)
  if (ts.isParenthesizedTypeNode(node)) return membersOfNode(file, node.type, known)
  if (ts.isTypeLiteralNode(node)) return node.members.flatMap((member) => membersOfNode(file, member, known))
  if (ts.isIntersectionTypeNode(node) || ts.isUnionTypeNode(node)) {
    const all = node.types.flatMap((type) => membersOfNode(file, type, known))
    const named = new Map<string, Member>()
    for (const member of all) {
      const before = named.get(member.name)
      if (before === undefined || before.type === "undefined")
        named.set(member.name, before ? { ...member, isOptional: true } : member)
    }
    return [...named.values()]
  }
  if (ts.isConditionalTypeNode(node)) return membersOfNode(file, node.falseType, known)
  if (ts.isExpressionWithTypeArguments(node) || ts.isTypeReferenceNode(node)) {
    const name = ts.isTypeReferenceNode(node) ? node.typeName.getText() : node.expression.getText()
    const [first, second] = node.typeArguments ?? []
    if (name === "Omit" && first !== undefined && second !== undefined) {
      const without = [...second.getText().matchAll(/"([^"]+)"/g)].map(([, key]) => key)
      return membersOfNode(file, first, known).filter((member) => !without.includes(member.name))
    }
    const isHere = file.statements.some(
      (one) => (ts.isInterfaceDeclaration(one) || ts.isTypeAliasDeclaration(one)) && one.name.text === name,
    )
    if (!isHere) return []
    const declared = declarationOf(file, name)
    const given = (node.typeArguments ?? []).map((argument) => known.get(argument.getText()) ?? argument.getText())
    return membersOfNode(file, declared, parametersOf(declared, given))
  }
  if (ts.isPropertySignature(node) && ts.isIdentifier(node.name)) {
    return [
      {
        name: node.name.text,
        type: simplified(node.type?.getText() ?? "", known),
        isOptional: node.questionToken !== undefined,
        doc: docOf(node),
      },
    ]
  }
  return []
}

/** A member in a row: what is said of its default stands in a column of its own. */
const rowOf = ({ name, type, isOptional, doc }: Member): ReadonlyArray<string> => {
  const [whole = "", value = ""] = /\bDefault: ((?:`[^`]*`|"[^"]*"|[^.`"])+?)(?:\.(?=\s|$)|(?=, |; ))/.exec(doc) ?? []
  const text = whole.endsWith(".") ? doc.replace(whole, "").trim() : doc
  return [code(name), code(type), isOptional ? cell(value) : "required", cell(text)]
}

export const optionsOf = (path: string, name: string, only?: ReadonlyArray<string>): string => {
  const file = fileOf(path)
  const declared = declarationOf(file, name)
  const members = membersOfNode(file, declared, parametersOf(declared, [])).filter(
    (member) => member.name !== "key" || name.startsWith("Map"),
  )
  const shown = only === undefined ? members : members.filter((member) => only.includes(member.name))
  // What overrides an inherited member stands after it.
  const last = new Map(shown.map((member) => [member.name, member]))
  const rows = [...last.values()].toSorted((a, b) => Number(a.isOptional) - Number(b.isOptional)).map(rowOf)
  return table(["name", "type", "default", "meaning"], rows)
}

/** Members that need no docstring where they are declared. */
const ids: { readonly [name: string]: string } = { runId: "Id of the run.", stepId: "Id of the step.", taskId: "Id of the task." }

/** The methods of an interface, each with its docstring. */
export const methodsOf = (path: string, name: string): string => {
  const file = fileOf(path)
  const rows = membersOfNode(file, declarationOf(file, name)).map((member) => [
    code(member.name),
    cell(member.doc || (ids[member.name] ?? "")),
  ])
  return table(["name", "meaning"], rows)
}

/** The exported functions and values of a module, each with its docstring. */
export const exportsOf = (path: string, names: ReadonlyArray<string>): string => {
  const file = fileOf(path)
  const rows = names.map((name) => {
    const found = file.statements.find(
      (one) =>
        (ts.isVariableStatement(one) && one.declarationList.declarations.some((declared) => declared.name.getText() === name)) ||
        (ts.isFunctionDeclaration(one) && one.name?.text === name),
    )
    if (found === undefined) throw new Error(`${path} exports no ${name}`)
    return [code(name), cell(docOf(found))]
  })
  return table(["name", "meaning"], rows)
}

/** The docstrings of properties in the object that a schema is declared with, spread ones included. */
export const fieldDocs = (file: ts.SourceFile, node: ts.Node): ReadonlyMap<string, string> => {
  const docs = new Map<string, string>()
  const variable = (name: string) =>
    file.statements.find(
      (one): one is ts.VariableStatement =>
        ts.isVariableStatement(one) && one.declarationList.declarations.some((declared) => declared.name.getText() === name),
    )
  const visit = (one: ts.Node): void => {
    if (ts.isObjectLiteralExpression(one)) {
      for (const property of one.properties) {
        const name = property.name?.getText() ?? ""
        if (ts.isSpreadAssignment(property)) {
          const spread = variable(property.expression.getText())
          if (spread !== undefined) visit(spread)
        } else if (ts.isShorthandPropertyAssignment(property)) {
          const declared = variable(name)
          docs.set(name, docOf(property) || (declared === undefined ? "" : docOf(declared)))
        } else docs.set(name, docOf(property))
      }
      return
    }
    ts.forEachChild(one, visit)
  }
  visit(node)
  return docs
}
