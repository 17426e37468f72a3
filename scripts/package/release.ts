/**
 * Publishes the package: `bun run release [--tag <tag>] [--dry-run]`. What is published is the tarball that `bun run test:package` installs;
 * with `--dry-run` it is built and listed, and no registry hears of it.
 */
import { parseArgs } from "node:util"
import { build, pack, readManifest, root } from "./build.ts"

const { values } = parseArgs({
  options: { "dry-run": { type: "boolean", default: false }, tag: { type: "string", default: "latest" } },
})

const output = (...command: ReadonlyArray<string>): string => {
  const { exitCode, stdout, stderr } = Bun.spawnSync([...command], { cwd: root })
  if (exitCode !== 0) throw new Error(`${command.join(" ")} ended with code ${exitCode}\n${stdout}${stderr}`)
  return stdout.toString().trim()
}

const changed = output("git", "status", "--porcelain")
if (changed !== "" && !values["dry-run"])
  throw new Error(`There are changes that are not committed. Commit them first:\n${changed}`)

await build()
const tarball = pack()
const { name, version } = readManifest("smithers")
const files = output("tar", "-tzf", tarball).split("\n").sort()
console.log(`${name} ${version}: ${files.length} files, ${(Bun.file(tarball).size / 1e6).toFixed(1)} MB in ${tarball}`)
for (const file of files.filter((file) => file.split("/").length <= 3)) console.log(`  ${file.replace("package/", "")}`)

const command = ["npm", "publish", tarball, "--access", "public", "--tag", values.tag]
if (values["dry-run"]) console.log(`Not published. Without --dry-run: ${command.join(" ")}`)
else console.log(output(...command))
