/**
 * The public names of the package: its exports with their fields and options, columns and tables, the fields of `--json`, and the words of the command line.
 */

import { Database } from "bun:sqlite"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { all } from "@smithers/cli/Catalog"
import ts from "typescript"

const root = join(import.meta.dirname, "../..")
const entries = ["index", "agents", "mdx", "sql", "testing"].map((name) => join(root, `packages/smithers/src/${name}.ts`))

const isOurs = (node: ts.Node): boolean => !node.getSourceFile().fileName.includes("/node_modules/")

/** The fields that a declaration names: of a type, a class, or a schema. */
const fieldsOf = (declaration: ts.Declaration): ReadonlyArray<string> => {
  const found: Array<string> = []
  const isSchema = ts.isVariableDeclaration(declaration) && /^Schema\.|TaggedStruct/.test(declaration.initializer?.getText() ?? "")
  const isType =
    ts.isInterfaceDeclaration(declaration) || ts.isTypeAliasDeclaration(declaration) || ts.isClassDeclaration(declaration)
  const visit = (node: ts.Node): void => {
    const isField =
      ts.isPropertySignature(node) || ts.isMethodSignature(node) || ts.isPropertyAssignment(node) || ts.isGetAccessor(node)
    if (isField && ts.isIdentifier(node.name)) found.push(node.name.text)
    if (!ts.isFunctionLike(node) || ts.isMethodSignature(node)) ts.forEachChild(node, visit)
  }
  if (isSchema || isType) ts.forEachChild(declaration, visit)
  return found
}

/** What the entries export, and the fields of that. */
export const exported = (files: ReadonlyArray<string> = entries): ReadonlySet<string> => {
  const config = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile).config
  const { options } = ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, root)
  const program = ts.createProgram({ rootNames: files, options: { ...options, types: [] } })
  const checker = program.getTypeChecker()
  const names = new Set<string>()
  const seen = new Set<ts.Symbol>()
  const walk = (symbol: ts.Symbol): void => {
    const target = symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol
    const declarations = (target.declarations ?? []).filter(isOurs)
    if (declarations.length === 0) return
    if (symbol.name !== "default") names.add(symbol.name)
    if (seen.has(target)) return
    seen.add(target)
    for (const declaration of declarations) {
      if (ts.isSourceFile(declaration)) for (const member of checker.getExportsOfModule(target)) walk(member)
      else for (const name of fieldsOf(declaration)) names.add(name)
    }
  }
  for (const file of files) {
    const source = program.getSourceFile(file)
    const module = source && checker.getSymbolAtLocation(source)
    for (const member of module === undefined ? [] : checker.getExportsOfModule(module)) walk(member)
  }
  return names
}

/** The fields of what commands print with `--json`. */
export const printed = (): ReadonlySet<string> => {
  const names = new Set<string>()
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return
    const { properties } = value as { readonly properties?: object }
    if (typeof properties === "object") for (const name of Object.keys(properties)) names.add(name)
    for (const inner of Object.values(value)) visit(inner)
  }
  visit(JSON.parse(readFileSync(join(root, "docs/cli.schema.json"), "utf8")))
  return names
}

/** The tables of a store, and their columns. */
export const stored = (filename: string): ReadonlySet<string> => {
  const database = new Database(filename, { readonly: true })
  const rows = database
    .query<{ table_name: string; column_name: string }, []>(
      "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master m, pragma_table_info(m.name) c WHERE m.name LIKE 'smithers%'",
    )
    .all()
  database.close()
  return new Set(rows.flatMap((row) => [row.table_name, row.column_name]))
}

/** The words of commands and of their options. */
export const typed = (): ReadonlySet<string> =>
  new Set(all.flatMap(({ path, options, arguments: named }) => [...path, ...[...options, ...named].map(({ name }) => name)]))

/** The words of a name. */
export const wordsOf = (name: string): ReadonlyArray<string> =>
  name
    .replaceAll(/([a-z0-9])([A-Z])|([A-Z]+)([A-Z][a-z])/g, "$1$3 $2$4")
    .split(/[^\p{L}]+/u)
    .filter((word) => word !== "")
    .map((word) => word.toLowerCase())
