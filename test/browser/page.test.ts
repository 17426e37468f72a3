/** The page in Chromium: what each view shows of real runs, by eye, by keyboard and for screen readers. */
import type { Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./Axe.ts"
import * as Stage from "./Stage.ts"

/** What the slider says at its end. */
const atLast = /^frame (\d+) of \1$/

describe.skipIf(Stage.missing !== undefined)(
  `the page in a browser${Stage.missing === undefined ? "" : ` (${Stage.missing})`}`,
  () => {
    let stage: Stage.Stage
    const views = [
      "/runs",
      "/runs/login-form",
      "/runs/login-form?as=tree&node=ship",
      "/runs/login-form?node=outline&panel=chat",
      "/runs/login-form?node=implement-form&panel=diff",
      "/runs/login-form?frame=5&node=implement-form",
      "/runs/login-form?tab=timeline",
      "/runs/login-form?tab=events",
      "/runs/login-form?tab=values",
      "/runs/login-form?tab=costs",
      "/runs/login-form?tab=compare&frame=5",
      "/runs/nightly-import?node=parse",
      "/inbox",
      "/workflows",
      "/workflows/release",
      "/schedules?at=mornings",
      "/costs?by=workflow",
      "/database",
    ]
    const settle = async (page: Page): Promise<void> => {
      await page.waitForFunction(() => document.querySelector("main h1") !== null)
      await page.waitForFunction(
        () => ![...document.querySelectorAll(".empty")].some(({ textContent }) => textContent?.endsWith("…")),
      )
    }
    const goto = async (page: Page, path: string): Promise<void> => {
      await page.goto(`${stage.server().url}${path}`)
      await page.waitForFunction(() => document.querySelector("main h1") !== null)
    }

    beforeAll(async () => {
      stage = await Stage.open()
      await stage.start("login-form", undefined, { feature: "a login form" }, ["team-web"])
      await stage.start("outage-7", "survey")
      await stage.server().ask("schedules", { workflow: "release", cron: "0 9 * * 1-5", id: "mornings", input: { feature: "x" } })
      await stage.start("nightly-import", "broken")
      await stage.becomes("login-form", "waiting-approval")
      await stage.becomes("outage-7", "waiting-approval")
      await stage.becomes("nightly-import", "failed")
    })
    afterAll(() => stage?.close())

    it("loads at most 150 kB of scripts before it draws", () => {
      expect(Stage.initialBytes()).toBeLessThan(150_000)
      expect(Stage.initialBytes()).toBeGreaterThan(50_000)
    })

    it("lists runs with their status and what they wait for, and filters them", async () => {
      const page = await stage.page("/runs")
      const rows = page.locator(".runrow")
      await rows.nth(2).waitFor()
      expect(await rows.allInnerTexts()).toEqual([
        expect.stringMatching(/failed.*nightly-import.*broken/s),
        expect.stringMatching(/waits for a person.*outage-7.*How bad is the outage\?/s),
        expect.stringMatching(/waits for a person.*login-form.*team-web.*Ship the login to production\?/s),
      ])
      await page.getByRole("button", { name: "Failed 1" }).click()
      await page.waitForFunction(() => document.querySelectorAll(".runrow").length === 1)
      expect(new URL(page.url()).search).toBe("?status=failed")
      await page.goBack()
      await rows.nth(2).waitFor()
      await page.getByLabel("Find runs by id, workflow or tag").fill("IN-F")
      await page.waitForFunction(() => document.querySelectorAll(".runrow").length === 1)
      await rows.first().click()
      await page.getByRole("heading", { name: "login-form" }).waitFor()
      await page.context().close()
    })

    it("draws the plan of a run with its states, and shows a node with its conversation, attempts and output", async () => {
      const page = await stage.page("/runs/login-form")
      const graph = page.getByLabel("Plan as a graph")
      await graph.getByRole("button", { name: "ship approval · waiting" }).waitFor()
      const names = await graph.getByRole("button").evaluateAll((all) => all.map((one) => one.getAttribute("aria-label")))
      expect(names).toEqual([
        "outline planner, step, finished",
        "implement-api coder, step, finished",
        "implement-form, step, finished",
        "write-docs writer, step, finished",
        "review loop · at most 4×, 1 done",
        "judge, step, finished",
        "30 × step 30 done, fan, folded",
        "ship approval · waiting",
        "deploy, step, to come",
      ])
      await graph.getByRole("button", { name: "30 × step" }).click()
      await graph.getByRole("button", { name: "test-17, step, finished" }).waitFor()
      await page.goBack()
      await graph.getByRole("button", { name: "implement-form" }).click()
      const drawer = page.getByRole("complementary", { name: "Node implement-form" })
      await drawer.getByText("The type check failed in src/login.ts").waitFor()
      await drawer.getByRole("tab", { name: "Output" }).click()
      await drawer.getByText("The form posts to /login.").waitFor()
      await drawer.getByRole("tab", { name: "Compare" }).click()
      await drawer.getByText("password is possibly undefined").waitFor()
      await drawer.getByRole("button", { name: "Close" }).click()
      await graph.getByRole("button", { name: "implement-api" }).click()
      await page.getByRole("tab", { name: "Conversation" }).click()
      await page.getByText("Implement the API of this outline").waitFor()
      await page.getByText("I look at src/app.ts.").waitFor()
      expect(await page.getByLabel("Conversation with coder").textContent()).toContain("3 turns, 12,600 tokens in, 930 out")
      await page.context().close()
    })

    it("is worked by the keyboard alone", async () => {
      const page = await stage.page("/runs")
      await page.locator(".runrow").nth(2).waitFor()
      const at = (name: string) => page.waitForFunction((name) => new URLSearchParams(location.search).get("at") === name, name)
      await page.keyboard.press("j")
      await at("nightly-import")
      await page.keyboard.press("j")
      await page.keyboard.press("j")
      await at("login-form")
      await page.keyboard.press("k")
      await at("outage-7")
      await page.keyboard.press("j")
      await page.keyboard.press("Enter")
      // Attempts that end at one moment share a frame, so that a busy machine makes fewer.
      const [, last] = atLast.exec((await page.getByText(atLast).textContent()) ?? "") ?? []
      await page.keyboard.press("[")
      await page.getByText(`frame ${Number(last) - 1} of ${last}`).waitFor()
      await page.keyboard.press("n")
      await page.getByRole("complementary", { name: "Node implement-form" }).waitFor()
      await page.keyboard.press("\\")
      await page.getByText(atLast).waitFor()
      await page.keyboard.press("t")
      const tree = page.getByRole("tree", { name: "Plan as a tree" })
      await tree.getByRole("treeitem", { name: /ship/ }).waitFor()
      expect(await tree.getByRole("treeitem").count()).toBe(12)
      await page.keyboard.press("Control+k")
      await page.getByRole("combobox", { name: "Go to a page or a run" }).fill("night")
      await page.getByRole("option", { name: /nightly-import/ }).waitFor()
      await page.keyboard.press("Enter")
      await page.getByRole("heading", { name: "nightly-import" }).waitFor()
      await page.keyboard.press("g")
      await page.keyboard.press("i")
      await page.getByRole("heading", { name: "Inbox" }).waitFor()
      await page.keyboard.press("?")
      await page.getByRole("dialog", { name: "Keys" }).waitFor()
      await page.context().close()
    })

    it("opens every view by its address, in light and dark, without a finding of axe or a word in the console", async () => {
      for (const colorScheme of ["light", "dark"] as const) {
        const page = await stage.page("/runs", { colorScheme })
        for (const path of views) {
          await goto(page, path)
          await settle(page)
          expect({ path, colorScheme, found: await violations(page) }).toEqual({ path, colorScheme, found: [] })
        }
        await page.context().close()
      }
      expect(stage.problems).toEqual([])
    })

    it("fits the width of a phone", async () => {
      const page = await stage.page("/runs", { viewport: { width: 390, height: 780 } })
      for (const path of views) {
        await goto(page, path)
        await settle(page)
        const width = await page.evaluate(() => document.documentElement.scrollWidth)
        expect({ path, width }).toEqual({ path, width: 390 })
      }
      await goto(page, "/runs/login-form")
      await page.getByRole("tree", { name: "Plan as a tree" }).waitFor()
      await goto(page, "/inbox")
      await page.getByRole("button", { name: /Ship the login/ }).click()
      await page.getByRole("button", { name: "Approve" }).waitFor()
      await page.getByRole("button", { name: "All requests" }).click()
      await page.getByRole("button", { name: /How bad/ }).waitFor()
      await page.context().close()
    })

    it("asks for the token where it has none, and keeps it out of the address", async () => {
      const page = await stage.page("/runs?status=failed")
      await page.locator(".runrow").first().waitFor()
      expect(page.url()).toBe(`${stage.server().url}/runs?status=failed`)
      const other = await stage.page("/runs")
      await other.evaluate(() => sessionStorage.clear())
      await other.goto(`${stage.server().url}/inbox`)
      await other.getByLabel("Token").fill(stage.server().token)
      await other.getByRole("button", { name: "Open" }).click()
      await other.getByRole("heading", { name: "Inbox" }).waitFor()
      await Promise.all([page.context().close(), other.context().close()])
    })
  },
)
