/**
 * Templates of projects: a folder that is a whole project itself, of which each template is a workflow with its prompts and its test.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { facade, find } from "./BundledPackages.ts"

/** The templates, each with what it does. */
export const templates = {
  kanban: "Breaks a goal into cards, and takes them over a board. A person approves the cards.",
  mission: "Reaches a large goal by milestones, one after another. A person approves them, and advises where one is not reached.",
  "research-plan-implement": "Researches a task, plans it until a person approves the plan, and implements it.",
  "plan-prd": "Turns an idea into a requirements document and a plan. A person answers its questions, and approves it.",
  "grill-me": "Asks a person about a plan, one question at a time, and writes down what was decided.",
} as const

export type TemplateName = keyof typeof templates

export const names = Object.keys(templates) as ReadonlyArray<TemplateName>

/** Files that every project gets. */
const shared = ["agents.ts", "AGENTS.md"]

/** Returns the folder of the templates: as published, or in its own repository. */
const folder = (): string | undefined =>
  [find(facade, dirname(Bun.main))?.folder ?? []]
    .flat()
    .flatMap((home) => [join(home, "templates"), join(home, "..", "..", "templates")])
    .find((home) => existsSync(join(home, "agents.ts")))

/** A file of a project: its path there, and its text. */
export type ProjectFile = readonly [path: string, text: string]

/** Returns the files of templates; `undefined` if this installation has none. */
export const filesOf = (chosen: ReadonlyArray<TemplateName>): ReadonlyArray<ProjectFile> | undefined => {
  const home = folder()
  if (home === undefined) return undefined
  const prompts = (name: string) =>
    readdirSync(join(home, "prompts", name))
      .toSorted()
      .map((file) => join("prompts", name, file))
  const own = chosen.flatMap((name) => [join("workflows", `${name}.tsx`), ...prompts(name), join("test", `${name}.test.ts`)])
  const paths = [...own, ...shared].map((path) => relative(".", path))
  return [
    ...paths.map((path) => [path, readFileSync(join(home, path), "utf8")] as const),
    // Package managers leave a .gitignore out of what they publish.
    [".gitignore", readFileSync(join(home, "gitignore"), "utf8")],
  ]
}
