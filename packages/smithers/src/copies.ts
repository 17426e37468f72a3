/**
 * Reads versions of packages from files, which the core cannot, for errors about two copies of one package.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { readVersionsBy } from "@smithers/core/EffectVersion"

readVersionsBy((folder) => {
  try {
    const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
    return typeof version === "string" ? version : undefined
  } catch {
    // An unknown version is left out of the error.
    return undefined
  }
})
