/**
 * Takes the pictures of the page in `docs/images`, of real runs in Chromium: `bun scripts/screenshots.ts`. They differ by the times that
 * they show, so they are taken again only when the page has changed.
 */
import { mkdirSync, statSync } from "node:fs"
import { join } from "node:path"
import * as Stage from "../test/browser/Stage.ts"

const folder = join(import.meta.dirname, "..", "docs", "images")

/** Most bytes of a picture. */
const mostBytes = 150_000

const views = [
  { name: "runs", path: "/runs", sees: "login-form" },
  { name: "run", path: "/runs/login-form?node=outline&panel=chat", sees: "Outline the work" },
  { name: "run-dark", path: "/runs/login-form?node=implement-form", sees: "The type check failed", scheme: "dark" },
  { name: "timeline", path: "/runs/login-form?tab=timeline", sees: "idle stretch" },
  { name: "frames", path: "/runs/login-form?frame=5&node=implement-form", sees: "As of frame 5" },
  { name: "inbox", path: "/inbox", sees: "Ship the login to production?" },
  { name: "question", path: "/inbox", sees: "How bad is the outage?", press: /How bad is the outage/ },
  { name: "fork", path: "/runs/login-form?frame=3", sees: "As of frame 3", press: /Fork from here/, then: "Runs again" },
  { name: "workflow", path: "/workflows/release", sees: "30 × step" },
  { name: "phone", path: "/runs/login-form", sees: "implement-api", width: 390 },
] as const satisfies ReadonlyArray<{
  readonly name: string
  readonly path: string
  readonly sees: string
  readonly press?: RegExp
  readonly then?: string
  readonly scheme?: "dark"
  readonly width?: number
}>

if (Stage.missing !== undefined) throw new Error(Stage.missing)
mkdirSync(folder, { recursive: true })
const stage = await Stage.open()
try {
  await stage.start("login-form", undefined, { feature: "a login form" }, ["team-web", "prod"])
  await stage.start("search-box", undefined, { feature: "a search box" }, ["team-web"])
  await stage.start("outage-7", "survey", {}, ["on-call"])
  await stage.start("order-17", "paid", { order: "o-17" })
  await stage.start("nightly-import", "broken", {}, ["nightly"])
  await stage.start("index-rebuild", "hold", { gate: stage.folder.file("gate") })
  for (const runId of ["login-form", "search-box", "outage-7"]) await stage.becomes(runId, "waiting-approval")
  for (const view of views) {
    const { name, path, sees, press, then, scheme, width } = {
      press: undefined,
      then: undefined,
      scheme: undefined,
      width: 1200,
      ...view,
    }
    const page = await stage.page(path, { colorScheme: scheme ?? "light", viewport: { width, height: 720 } })
    await page.getByText(sees).first().waitFor()
    if (press !== undefined) await page.getByRole("button", { name: press }).first().click()
    if (then !== undefined) await page.locator("[data-fate=rerun]", { hasText: then }).waitFor()
    // Until what is drawn stands still.
    await page.waitForTimeout(500)
    const file = join(folder, `${name}.png`)
    await page.screenshot({ path: file, animations: "disabled" })
    await page.context().close()
    const { size } = statSync(file)
    console.log(`${name} ${Math.round(size / 1000)} kB`)
    if (size > mostBytes) throw new Error(`${name}.png has ${size} bytes; at most ${mostBytes} are allowed`)
  }
} finally {
  await stage.close()
}
