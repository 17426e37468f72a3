/**
 * Projects of people who install the package: empty folders, a package manager, the packed tarball. They need the npm registry.
 */
import { spawn } from "node:child_process"
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { inject } from "vitest"

export const root = join(import.meta.dirname, "..", "..")
export const tarball = inject("tarball")
export const hasRegistry = inject("hasRegistry")

/** Says in the title of a suite why it is skipped. */
export const titled = (title: string): string => (hasRegistry ? title : `${title} (skipped: the npm registry cannot be reached)`)

export interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs a program to its end. */
export const run = (
  command: ReadonlyArray<string>,
  cwd: string,
  env: Readonly<Record<string, string | undefined>> = {},
): Promise<Ended> =>
  new Promise((resolve, reject) => {
    const [program = "", ...argv] = command
    const child = spawn(program, argv, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] })
    const said = { stdout: "", stderr: "" }
    for (const stream of ["stdout", "stderr"] as const)
      child[stream].setEncoding("utf8").on("data", (text: string) => {
        said[stream] += text
      })
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, ...said }))
  })

/** Runs a program that must succeed; gives what it prints. */
export const succeed = async (command: ReadonlyArray<string>, cwd: string, env = {}): Promise<string> => {
  const { code, stdout, stderr } = await run(command, cwd, env)
  if (code !== 0) throw new Error(`${command.join(" ")} ended with code ${code}\n${stdout}\n${stderr}`)
  return stdout
}

const made: Array<string> = []

/** An empty project. */
export const project = (manifest: Readonly<Record<string, unknown>> = {}): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "smithers-package-")))
  made.push(folder)
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "project", private: true, type: "module", ...manifest }))
  return folder
}

/** Removes the projects. */
export const clean = (): void => {
  for (const folder of made.splice(0)) rmSync(folder, { recursive: true, force: true })
}

/** Copies programs of `fixtures` into a project. */
export const copy = (name: string, to: string): void => cpSync(join(import.meta.dirname, "fixtures", name), to, { recursive: true })

/** Installs the package and others. */
export const install = (manager: "npm" | "bun", folder: string, ...others: ReadonlyArray<string>): Promise<string> =>
  manager === "npm"
    ? succeed(["npm", "install", "--no-audit", "--no-fund", "--prefer-offline", tarball, ...others], folder)
    : succeed(["bun", "add", tarball, ...others], folder)

export const versionOf = (folder: string, name: string): string =>
  JSON.parse(readFileSync(join(folder, "node_modules", name, "package.json"), "utf8")).version

/** What the compiler says of the programs of a project; nothing where it finds no error. */
export const typecheck = async (
  folder: string,
  resolution: "NodeNext" | "Bundler",
  skipLibCheck: boolean,
  options: Readonly<Record<string, unknown>> = {},
): Promise<string> => {
  const compilerOptions = {
    target: "ES2023",
    module: resolution === "NodeNext" ? "NodeNext" : "Preserve",
    moduleResolution: resolution,
    strict: true,
    exactOptionalPropertyTypes: true,
    noEmit: true,
    jsx: "react-jsx",
    jsxImportSource: "smithers-orchestrator",
    types: ["node"],
    skipLibCheck,
    ...options,
  }
  writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ compilerOptions, exclude: ["out", "node_modules"] }))
  const { stdout } = await run([join(root, "node_modules", ".bin", "tsc"), "-p", "."], folder)
  return stdout
}

/** Compiles the programs of a project into `out`, for Node. */
export const emit = async (folder: string): Promise<void> => {
  const said = await typecheck(folder, "NodeNext", true, { noEmit: false, outDir: "out" })
  if (said !== "") throw new Error(said)
}

const runtimes = join(tmpdir(), "smithers-runtimes")

/** An executable of a package of the npm registry; installed once on a machine. */
const executable = async (name: string, version: string, file: string): Promise<string> => {
  const folder = join(runtimes, `${name.replace("/", "-")}-${version}`)
  const found = join(folder, "node_modules", name, "bin", file)
  if (!existsSync(found)) {
    mkdirSync(folder, { recursive: true })
    writeFileSync(join(folder, "package.json"), JSON.stringify({ name: "runtime", private: true }))
    await succeed(["npm", "install", "--no-audit", "--no-fund", `${name}@${version}`], folder)
  }
  return found
}

/** A Node of this version. */
export const node = (version: string): Promise<string> => executable(`node-${process.platform}-${process.arch}`, version, "node")

/** A Bun of this version. */
export const bun = (version: string): Promise<string> => {
  const arch = process.arch === "arm64" ? "aarch64" : process.arch
  return executable(`@oven/bun-${process.platform}-${arch}`, version, "bun")
}
