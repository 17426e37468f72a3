/**
 * Detects values of another Effect than the one that this package runs: of Effect 4, or of a second copy of Effect 3. They look the same in
 * code, so an error says what they are, where they come from and what to do.
 */
import * as Effect from "effect/Effect"
import { identity } from "effect/Function"
import type { Pipeable } from "effect/Pipeable"
import type * as Schema from "effect/Schema"
import * as AST from "effect/SchemaAST"
import { name as published } from "./Package.ts"
import * as Thrown from "./Thrown.ts"

const isMarked = (value: unknown, mark: string): boolean =>
  ((typeof value === "object" && value !== null) || typeof value === "function") && mark in value

/** Tells whether a value is an Effect of Effect 4. */
export const isEffect = (value: unknown): boolean => isMarked(value, "~effect/Effect")

/** The advice to append to an error about a value that is no schema, if it is one of Effect 4; otherwise empty. */
export const adviceOnSchema = (value: unknown): string =>
  isMarked(value, "~effect/Schema/Schema")
    ? ". This is a schema of Effect 4: import effect ^3.22.1 in its file, which this package works with"
    : ""

/** A copy of Effect. A bundled one has no folder. */
interface Copy {
  readonly version: string | undefined
  readonly folder: string | undefined
}

/** Reads the version of the package in a folder. `undefined` until set. */
let versionIn: (folder: string) => string | undefined = () => undefined

/** Sets the reader of versions of packages, in a runtime that has files. */
export const readVersionsBy = (read: typeof versionIn): void => {
  versionIn = read
}

/** Finds the folder of a package by the innermost frame of it in a stack. `undefined` if it is bundled. */
export const folderIn = (stack: string | undefined, name: string): string | undefined => {
  const [, scheme, folder] =
    new RegExp(`(file://)?((?:/|[A-Za-z]:)[^\\n()]*?[\\\\/]node_modules[\\\\/]${name})[\\\\/]`).exec(stack ?? "") ?? []
  return folder !== undefined && scheme !== undefined ? decodeURI(folder) : folder
}

/** Finds the folder of the copy that made a value: its own code calls back, and so is in the stack. */
const folderOf = (value: Pipeable): string | undefined => {
  let stack: string | undefined
  const look = <A>(same: A): A => {
    stack = new Error().stack
    return same
  }
  // The function that calls the last one may have no frame any more.
  value.pipe(look, identity)
  return folderIn(stack, "effect")
}

const versionOf = (value: Effect.Effect<unknown, unknown, unknown>): string => value[Effect.EffectTypeId]._V

/** The copy that this package runs on. */
const own = (): Copy => ({ version: versionOf(Effect.void), folder: folderOf(Effect.void) })

const show = ({ version, folder }: Copy): string =>
  ["effect", version, folder === undefined ? undefined : `in ${folder}`].filter((part) => part !== undefined).join(" ")

const differs = (what: string, other: Copy): string =>
  `${what} ${show(other)}, and ${published} works with ${show(own())}: install one copy for both (npm ls effect, or bun pm ls --all, lists them)`

/** Returns why an Effect cannot be run: it is of another version. `undefined` if it can. */
export const problemOfEffect = (value: Effect.Effect<unknown, unknown, unknown>): string | undefined => {
  const version = versionOf(value)
  return version === versionOf(Effect.void) ? undefined : differs("it is an Effect of", { version, folder: folderOf(value) })
}

/** Returns why a schema cannot be read: it is of another version. `undefined` if it can, or if its version is not known. */
export const problemOfSchema = (schema: Schema.Schema.All): string | undefined => {
  const { ast } = schema
  const made = Thrown.get(AST, ast._tag)
  if (typeof made !== "function" || ast instanceof made) return undefined
  const [folder, { version: used }] = [folderOf(schema), own()]
  const version = folder === undefined ? undefined : versionIn(folder)
  return version === undefined || version === used ? undefined : differs("it is a schema of", { version, folder })
}

/**
 * Detects a program that runs on another copy. Two copies of one version work, since Effect shares what they have to. With two versions each step of
 * the engine would be logged as a mismatch.
 */
export const problemOfProgram: Effect.Effect<{ readonly problem: string; readonly isFatal: boolean } | undefined> =
  Effect.withFiberRuntime((fiber) => {
    const [other, ours] = [{ version: versionOf(fiber), folder: folderOf(fiber) }, own()]
    const isFatal = other.version !== ours.version
    const isSame = !isFatal && other.folder === ours.folder
    return Effect.succeed(isSame ? undefined : { isFatal, problem: differs("this program runs on", other) })
  })
