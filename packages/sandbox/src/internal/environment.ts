/**
 * The environment of a command: what its policy lists, and four variables without which few programs work.
 */
import { existsSync, realpathSync } from "node:fs"
import { InvalidPolicy, type Policy } from "@smithers/core/Isolation"
import * as Either from "effect/Either"

/** The search path of a command whose policy names none. */
const searchPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/** Completes the environment of a policy. */
export const environmentOf = (
  { env = {} }: Policy,
  defaults: { readonly [name: string]: string },
): Either.Either<{ readonly [name: string]: string }, InvalidPolicy> => {
  for (const [name, value] of Object.entries(env))
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name) || value.includes("\0"))
      return Either.left(new InvalidPolicy({ field: `env.${name}`, problem: "is no variable of an environment" }))
  return Either.right({ PATH: searchPath, LANG: "C.UTF-8", ...defaults, ...env })
}

/** Directories of a search path that exist, with symbolic links resolved. */
export const pathDirectories = (path: string): ReadonlyArray<string> => [
  ...new Set(
    path
      .split(":")
      .filter((directory) => directory.startsWith("/") && existsSync(directory))
      .map((directory) => realpathSync(directory)),
  ),
]
