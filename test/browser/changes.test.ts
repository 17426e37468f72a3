/** What people change in the page beside decisions: schedules, and runs that are taken back. */
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { violations } from "./Axe.ts"
import * as Stage from "./Stage.ts"

describe.skipIf(Stage.missing !== undefined)("changes made in the page", () => {
  let stage: Stage.Stage
  beforeAll(async () => {
    stage = await Stage.open()
  })
  afterAll(() => stage?.close())

  it("adds a schedule with the form of its workflow's input, changes it, and says what is wrong with it", async () => {
    const page = await stage.page("/schedules")
    await page.getByText("No schedules.").waitFor()
    await page.getByRole("button", { name: "Add a schedule…" }).click()
    const dialog = page.getByRole("dialog", { name: "Add a schedule" })
    await dialog.getByLabel("Workflow").selectOption("release")
    await dialog.getByLabel("Feature").fill("nightly things")
    await dialog.getByLabel("When, as cron").fill("61 9 * * *")
    await dialog.getByLabel("Time zone").fill("Europe/Berlin")
    await dialog.getByRole("button", { name: "Add the schedule" }).click()
    await dialog.getByRole("alert").filter({ hasText: "61" }).waitFor()
    await dialog.getByLabel("When, as cron").fill("0 9 * * 1-5")
    await dialog.getByLabel("Id (optional)").fill("nightly")
    await dialog.getByRole("button", { name: "Add the schedule" }).click()
    await page.getByLabel("Schedule nightly").getByText("nightly things").waitFor()
    await page.getByRole("button", { name: "Change…" }).click()
    const other = page.getByRole("dialog", { name: "Change the schedule" })
    await other.getByLabel("When, as cron").fill("30 7 * * *")
    expect(await other.getByLabel("Feature").inputValue()).toBe("nightly things")
    await other.getByLabel("Feature").fill("other things")
    await other.getByRole("button", { name: "Save the schedule" }).click()
    await page.getByLabel("Schedule nightly").getByText("other things").waitFor()
    const { body } = await stage.server().ask("schedules")
    expect(body.schedules).toEqual([
      expect.objectContaining({
        scheduleId: "nightly",
        cron: "30 7 * * *",
        tz: "Europe/Berlin",
        input: { feature: "other things" },
      }),
    ])
    await page.context().close()
  })

  it("shows what taking a run back would mean before it is done, undoes nothing else, and resumes it", async () => {
    await stage.start("failed", "broken")
    await stage.becomes("failed", "failed")
    const page = await stage.page("/runs/failed?node=fetch")
    await page.getByRole("button", { name: "Take back…" }).click()
    const dialog = page.getByRole("dialog", { name: "Take the run back" })
    await dialog.locator("[data-group=resets]", { hasText: "parse" }).waitFor()
    const before = (await stage.server().ask("runs/failed")).body
    expect(before.run.status).toBe("failed")
    await dialog.getByRole("button", { name: "Leave it" }).click()
    expect((await stage.server().ask("runs/failed")).body.seq).toBe(before.seq)
    await page.getByRole("button", { name: "Take back…" }).click()
    await dialog.locator("[data-group=resets]", { hasText: "parse" }).waitFor()
    await dialog.getByRole("button", { name: "Take it back" }).click()
    await dialog.getByText("Nothing runs until it is resumed.").waitFor()
    await page.locator(".head .chip", { hasText: "suspended" }).first().waitFor()
    await dialog.getByRole("button", { name: "Undo" }).click()
    await dialog.getByText("What was taken of failed is back").waitFor()
    await dialog.getByText("The run had failed. It is suspended now").waitFor()
    await page.getByRole("complementary").getByText("finished").first().waitFor()
    await dialog.getByRole("button", { name: "Close" }).click()
    await page.getByRole("button", { name: "Take back…" }).click()
    await dialog.getByRole("button", { name: "Take it back" }).click()
    await dialog.getByText("Nothing runs until it is resumed.").waitFor()
    await dialog.getByRole("button", { name: "Resume the run" }).click()
    await stage.becomes("failed", "failed")
    expect(stage.problems).toEqual([])
    await page.context().close()
  })

  it("has no finding of axe in any dialog, in light and dark, and fits the width of a phone", async () => {
    const dialogs = [
      ["/schedules", "Add a schedule…", "Add a schedule"],
      ["/schedules?at=nightly", "Change…", "Change the schedule"],
      ["/runs/failed?node=fetch", "Take back…", "Take the run back"],
    ] as const
    for (const colorScheme of ["light", "dark"] as const) {
      const page = await stage.page("/runs", { colorScheme, viewport: { width: 390, height: 780 } })
      for (const [path, button, name] of dialogs) {
        await page.goto(`${stage.server().url}${path}`)
        await page.getByRole("button", { name: button }).click()
        const dialog = page.getByRole("dialog", { name })
        await dialog.waitFor()
        if (name === "Add a schedule") {
          await dialog.getByLabel("Workflow").selectOption("release")
          await dialog.getByLabel("Feature").waitFor()
          await dialog.getByRole("button", { name: "Add the schedule" }).click()
          await dialog.getByRole("alert").first().waitFor()
        } else if (name === "Take the run back") await dialog.locator("[data-group=resets]").waitFor()
        expect({ name, colorScheme, found: await violations(page) }).toEqual({ name, colorScheme, found: [] })
        const fits = await page.evaluate(() => {
          const dialog = document.querySelector("[role=dialog], dialog")
          const { left = -1, right = 1e9 } = dialog?.getBoundingClientRect() ?? {}
          return {
            isWithin: left >= 0 && right <= innerWidth,
            page: document.documentElement.scrollWidth,
            inside: (dialog?.scrollWidth ?? 1e9) <= (dialog?.clientWidth ?? 0),
          }
        })
        expect({ name, ...fits }).toEqual({ name, isWithin: true, page: 390, inside: true })
      }
      await page.context().close()
    }
    expect(stage.problems).toEqual([])
  })
})
