/**
 * Checks the fields that spreads bring into object literals: `bun run spreads`. TypeScript refuses unknown fields that stand in a
 * literal, but none that come in by `...defined({ x })` or `...(x === undefined ? {} : { x })`. A renamed field could be written
 * under its old name there, and would be lost. Here such fields are held against the type that the literal must have.
 */
import { join, relative } from "node:path"
import ts from "typescript"

const root = join(import.meta.dirname, "..")

/** Tells whether an expression is a call of `defined`, or a constant made by one. */
const isOfDefined = (node: ts.Expression, checker: ts.TypeChecker): boolean => {
  if (ts.isCallExpression(node)) return ts.isIdentifier(node.expression) && node.expression.text === "defined"
  const declaration = ts.isIdentifier(node) ? checker.getSymbolAtLocation(node)?.valueDeclaration : undefined
  return declaration !== undefined && ts.isVariableDeclaration(declaration) && declaration.initializer !== undefined
    ? declaration.type === undefined &&
        ts.isCallExpression(declaration.initializer) &&
        isOfDefined(declaration.initializer, checker)
    : false
}

/** The object literals that an expression may give, through conditions, `defined` and constants. */
const literalsOf = (node: ts.Expression, checker: ts.TypeChecker): ReadonlyArray<ts.ObjectLiteralExpression> => {
  const inner = (next: ts.Expression) => literalsOf(next, checker)
  if (ts.isObjectLiteralExpression(node)) return [node]
  if (ts.isParenthesizedExpression(node) || ts.isAsExpression(node) || ts.isSatisfiesExpression(node)) return inner(node.expression)
  if (ts.isConditionalExpression(node)) return [...inner(node.whenTrue), ...inner(node.whenFalse)]
  if (ts.isBinaryExpression(node)) return [...inner(node.left), ...inner(node.right)]
  if (ts.isCallExpression(node)) return isOfDefined(node, checker) ? node.arguments.flatMap(inner) : []
  if (!ts.isIdentifier(node)) return []
  const declaration = checker.getSymbolAtLocation(node)?.valueDeclaration
  if (declaration === undefined || !ts.isVariableDeclaration(declaration)) return []
  const { initializer, type } = declaration
  return initializer === undefined || type !== undefined || !ts.isIdentifier(declaration.name) ? [] : inner(initializer)
}

/** A field that a spread brings in, and its place. */
interface Brought {
  readonly name: string
  readonly place: ts.Node
}

/** The fields of a literal, with those that its own spreads bring in. */
const fieldsOf = (literal: ts.ObjectLiteralExpression, checker: ts.TypeChecker): ReadonlyArray<Brought> =>
  literal.properties.flatMap((property) => {
    if (ts.isSpreadAssignment(property))
      return literalsOf(property.expression, checker).flatMap((inner) => fieldsOf(inner, checker))
    const { name } = property
    return name !== undefined && (ts.isIdentifier(name) || ts.isStringLiteral(name)) ? [{ name: name.text, place: property }] : []
  })

/** Types with any fields: a literal of them cannot be wrong. */
const loose =
  ts.TypeFlags.Any | ts.TypeFlags.Unknown | ts.TypeFlags.TypeParameter | ts.TypeFlags.NonPrimitive | ts.TypeFlags.IndexedAccess

/** The members of the type of a literal that it may be, by its own fields with a constant: its `_tag`, its `kind`. */
const membersOf = (literal: ts.ObjectLiteralExpression, type: ts.Type, checker: ts.TypeChecker): ReadonlyArray<ts.Type> => {
  const members = type.isUnion() ? type.types : [type]
  const constants = literal.properties.flatMap((property) => {
    if (!ts.isPropertyAssignment(property) || !ts.isIdentifier(property.name)) return []
    return ts.isStringLiteral(property.initializer) ? [[property.name.text, property.initializer.text] as const] : []
  })
  const isPossible = (member: ts.Type): boolean =>
    constants.every(([name, value]) => {
      const field = checker.getPropertyOfType(member, name)
      if (field === undefined) return false
      const known = checker.getTypeOfSymbolAtLocation(field, literal)
      const choices = known.isUnion() ? known.types : [known]
      return choices.some((choice) => !choice.isStringLiteral() || choice.value === value)
    })
  const objects = members.filter(({ flags }) => (flags & (loose | ts.TypeFlags.Object | ts.TypeFlags.Intersection)) !== 0)
  return objects.some(({ flags }) => (flags & loose) !== 0) ? objects : objects.filter(isPossible)
}

const isLoose = (type: ts.Type, checker: ts.TypeChecker): boolean =>
  (type.flags & loose) !== 0 || checker.getIndexInfosOfType(type).length > 0 || checker.getPropertiesOfType(type).length === 0

/** Returns a line for each field that a spread brings into a literal whose type has no such field. */
export const unknownFields = (program: ts.Program): ReadonlyArray<string> => {
  const checker = program.getTypeChecker()
  const found: Array<string> = []
  const compare = (fields: ReadonlyArray<Brought>, members: ReadonlyArray<ts.Type>, type: ts.Type): void => {
    if (members.length === 0 || members.some((member) => isLoose(member, checker))) return
    for (const { name, place } of fields) {
      if (members.some((member) => checker.getPropertyOfType(member, name) !== undefined)) continue
      const file = place.getSourceFile()
      const { line } = file.getLineAndCharacterOfPosition(place.getStart())
      found.push(`${relative(root, file.fileName)}:${line + 1}: "${name}" is no field of ${checker.typeToString(type)}`)
    }
  }
  /** Checks the spreads of a literal. */
  const checkLiteral = (literal: ts.ObjectLiteralExpression): void => {
    const spreads = literal.properties.filter(ts.isSpreadAssignment)
    const type = spreads.length === 0 ? undefined : checker.getContextualType(literal)
    if (type === undefined) return
    const brought = spreads.flatMap(({ expression }) => literalsOf(expression, checker))
    compare(
      brought.flatMap((inner) => fieldsOf(inner, checker)),
      membersOf(literal, type, checker),
      type,
    )
  }
  /** Checks what `defined` makes, where it is passed or returned as a whole. */
  const checkWhole = (given: ts.Expression): void => {
    const [literal, ...others] = isOfDefined(given, checker) ? literalsOf(given, checker) : []
    const type = literal === undefined || others.length > 0 ? undefined : checker.getContextualType(given)
    if (literal !== undefined && type !== undefined) compare(fieldsOf(literal, checker), membersOf(literal, type, checker), type)
  }
  const visit = (node: ts.Node): void => {
    if (ts.isObjectLiteralExpression(node)) checkLiteral(node)
    if (ts.isCallExpression(node) || ts.isNewExpression(node)) node.arguments?.forEach(checkWhole)
    if (ts.isReturnStatement(node) && node.expression !== undefined) checkWhole(node.expression)
    if (ts.isArrowFunction(node) && !ts.isBlock(node.body)) checkWhole(node.body)
    ts.forEachChild(node, visit)
  }
  for (const file of program.getSourceFiles()) if (!file.fileName.includes("/node_modules/")) visit(file)
  return [...new Set(found)]
}

if (import.meta.main) {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile)
  const { options, fileNames } = ts.parseJsonConfigFileContent(config, ts.sys, root)
  const found = unknownFields(ts.createProgram(fileNames, options))
  for (const line of found) console.error(line)
  if (found.length > 0) process.exitCode = 1
}
