/** Whole stories in the page: runs are started, decided, killed, resumed and forked by it, and the server goes and comes back. */
import { existsSync, writeFileSync } from "node:fs"
import type { Page } from "playwright-core"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Fixture from "../cli/Fixture.ts"
import * as Stage from "./Stage.ts"

const statusChip = (page: Page, words: string) => page.locator(".head .chip", { hasText: words }).first().waitFor()

describe.skipIf(Stage.missing !== undefined)("the page of a server that supervises", () => {
  let stage: Stage.Stage
  beforeAll(async () => {
    stage = await Stage.open("--supervise")
  })
  afterAll(() => stage?.close())

  it("starts a run by a form, follows it live, and approves it by a key: it is finished on the screen", async () => {
    const page = await stage.page("/workflows")
    await page.getByRole("link", { name: "release" }).click()
    await page.getByLabel("feature").fill("a login form")
    await page.getByText("30 × step").waitFor()
    await page.getByRole("button", { name: "Start" }).click()
    await page.waitForURL(/\/runs\/[^/]+$/)
    const runId = decodeURIComponent(new URL(page.url()).pathname.split("/")[2] ?? "")
    await statusChip(page, "waits for a person")
    await page.locator("[data-why]", { hasText: "Ship the login to production?" }).waitFor()
    await page.getByRole("link", { name: "Inbox 1" }).click()
    await page.getByText("throw new WrongPassword()").waitFor()
    await page.keyboard.press("a")
    await page.getByText("Nobody waits for you.").waitFor()
    await page.goBack()
    await page.goBack()
    await page.goto(`${stage.server().url}/runs/${runId}`)
    await statusChip(page, "finished")
    await page.getByRole("button", { name: "deploy, step, finished" }).waitFor()
    const { waits } = (await stage.server().ask(`runs/${runId}/waits?all=true`)).body
    expect(waits).toMatchObject([{ nodeId: "ship", approved: true, by: "tester" }])
    await page.context().close()
  })

  it("tells two tabs by one stream what one of them decides, and refuses what is decided already", async () => {
    await stage.start("two-tabs", undefined, { feature: "tabs" })
    await stage.becomes("two-tabs", "waiting-approval")
    const first = await stage.page("/runs")
    const streams: Array<string> = []
    first.context().on("request", (request) => {
      if (request.url().includes("/events")) streams.push(request.url())
    })
    const [second, third] = [await stage.tab(first.context(), "/inbox"), await stage.tab(first.context(), "/inbox")]
    await first.bringToFront()
    await first.goto(`${stage.server().url}/runs/two-tabs?node=ship`)
    await third.getByRole("heading", { name: "Ship the login to production?" }).waitFor()
    // This tab does not hear any more that the request is decided.
    await third.route("**/api/v1/inbox*", () => {})
    await first.getByLabel("Note (optional)").fill("not on a Friday")
    await first.getByRole("button", { name: "Deny" }).click()
    await statusChip(first, "failed")
    await second.getByText("Nobody waits for you.").waitFor()
    await third.getByRole("button", { name: "Approve" }).click()
    await third.getByText("This request has changed or is decided.").waitFor()
    expect(streams.length).toBeLessThanOrEqual(3)
    const { waits } = (await stage.server().ask("runs/two-tabs/waits?all=true")).body
    expect(waits).toMatchObject([{ nodeId: "ship", approved: false, note: "not on a Friday" }])
    await first.context().close()
  })

  it("never said anything wrong in its console", () => {
    expect(stage.problems).toEqual([])
  })
})

describe.skipIf(Stage.missing !== undefined)(
  `stories in the page${Stage.missing === undefined ? "" : ` (${Stage.missing})`}`,
  () => {
    let stage: Stage.Stage
    const runOf = async (runId: string) => (await stage.server().ask(`runs/${runId}`)).body.run
    const stepsOf = async (runId: string): Promise<{ readonly [node: string]: number }> => {
      const { attempts } = (await stage.server().ask(`runs/${runId}/details`)).body
      return Object.fromEntries(attempts.map(({ nodeId, attempt }: { nodeId: string; attempt: number }) => [nodeId, attempt]))
    }

    beforeAll(async () => {
      stage = await Stage.open()
    })
    afterAll(() => stage?.close())

    it("answers a question by the form of its schema, and says what is missing", async () => {
      await stage.start("survey-1", "survey")
      await stage.becomes("survey-1", "waiting-approval")
      const page = await stage.page("/runs/survey-1?node=rate")
      await page.getByRole("button", { name: "Send the answer" }).click()
      await page
        .getByText("severity is required.")
        .or(page.getByText(/severity is none of the choices/))
        .first()
        .waitFor()
      await page.getByLabel("severity").selectOption("high")
      await page.getByLabel("users").fill("1200")
      await page.getByRole("group", { name: "is public" }).getByLabel("yes").check()
      await page.getByRole("button", { name: "Add" }).click()
      await page.getByRole("group", { name: "areas" }).getByRole("textbox").fill("login")
      await page.getByRole("button", { name: "Send the answer" }).click()
      await page.getByRole("button", { name: "Resume" }).click()
      await statusChip(page, "finished")
      expect((await stage.server().ask("runs/survey-1")).body.output).toEqual({
        severity: "high",
        users: 1200,
        isPublic: true,
        areas: ["login"],
      })
      await page.context().close()
    })

    it("sends the signal that a run waits for", async () => {
      await stage.start("order-17", "paid", { order: "o-17" })
      await stage.becomes("order-17", "waiting-event")
      const page = await stage.page("/runs/order-17")
      await page.getByRole("button", { name: "Send the signal…" }).click()
      const dialog = page.getByRole("dialog", { name: "Send a signal" })
      expect(await dialog.getByLabel("Name").inputValue()).toBe("paid")
      expect(await dialog.getByLabel("Correlation").inputValue()).toBe("o-17")
      await dialog.getByLabel("Payload").fill('{"amount": 12.5}')
      await dialog.getByRole("button", { name: "Send" }).click()
      await page.getByRole("button", { name: "Resume" }).click()
      await statusChip(page, "finished")
      await page.context().close()
    })

    it("shows that a run was killed, resumes it, and runs no finished step again", async () => {
      const gate = stage.folder.file("gate-killed")
      await stage.start("killed", "hold", { gate })
      const page = await stage.page("/runs/killed")
      await page.getByRole("button", { name: "during, step, running" }).waitFor()
      const pid = Number(/\d+/.exec((await runOf("killed")).owner)?.[0])
      process.kill(pid, "SIGKILL")
      await statusChip(page, "orphaned")
      await page.getByRole("button", { name: "Resume" }).click()
      await statusChip(page, "running")
      writeFileSync(gate, "")
      await statusChip(page, "finished")
      await page.getByRole("button", { name: "after, step, finished" }).waitFor()
      expect(await stepsOf("killed")).toEqual({ before: 1, during: 2, after: 1 })
      await page.context().close()
    })

    it("lists schedules with their next and last ticks, pauses one, runs it now, and removes it", async () => {
      const { status } = await stage.server().ask("schedules", {
        workflow: `workflows/release.ts#survey`,
        cron: "0 9 * * 1-5",
        tz: "Europe/Berlin",
        id: "mornings",
      })
      expect(status).toBe(200)
      const page = await stage.page("/schedules")
      await page.getByRole("button", { name: "mornings" }).click()
      await page.getByLabel("Schedule mornings").getByText("none yet").waitFor()
      await page.getByRole("button", { name: "Run now" }).click()
      await page
        .getByRole("link", { name: /^mornings@/ })
        .first()
        .waitFor()
      await page.getByRole("button", { name: "Pause" }).click()
      await page.getByText("paused").first().waitFor()
      await page.getByRole("button", { name: "Remove…" }).click()
      await page.getByRole("button", { name: "Remove the schedule" }).click()
      await page.getByText("No schedules.").waitFor()
      await page.context().close()
    })

    it("pauses and cancels a run", async () => {
      await stage.start("cancelled", "hold", { gate: stage.folder.file("never") })
      const page = await stage.page("/runs/cancelled")
      await page.getByRole("button", { name: "during, step, running" }).waitFor()
      await page.getByRole("button", { name: "Pause" }).click()
      await page.getByRole("button", { name: "Unpause" }).first().click()
      await page.getByRole("button", { name: "Pause", exact: true }).waitFor()
      await page.getByRole("button", { name: "Cancel…" }).click()
      await page.getByLabel("Reason (optional)").fill("nobody needs it")
      await page.getByRole("button", { name: "Cancel the run" }).click()
      await statusChip(page, "cancelled")
      await page.context().close()
    })

    it("says that the server is gone, and goes on by itself once it is back", async () => {
      const page = await stage.page("/runs")
      await page.locator("[data-link=live]").waitFor()
      await page.locator(".runrow").first().waitFor()
      const before = await page.locator(".runrow").count()
      await stage.server().stop()
      await page.getByText("The server does not answer.").waitFor()
      expect(await page.locator(".runrow").count()).toBe(before)
      await stage.again()
      await page.locator("[data-link=live]").waitFor()
      await page.getByText("The server does not answer.").waitFor({ state: "detached" })
      await stage.start("after-restart", "survey")
      await page.locator(".runrow", { hasText: "after-restart" }).waitFor()
      await page.context().close()
    })

    it("goes back by frames with all of the page, shows what a fork would do, forks there, and begins the fork", async () => {
      await stage.start("forked", undefined, { feature: "forks" })
      await stage.becomes("forked", "waiting-approval")
      const page = await stage.page("/runs/forked?node=implement-form")
      await page.getByText(/^frame (\d+) of \1$/).waitFor()
      const slider = page.getByRole("slider", { name: "Frame" })
      await slider.focus()
      await slider.press("Home")
      await page.getByText("As of frame 1").waitFor()
      await page.getByRole("button", { name: "outline planner, step, running" }).waitFor()
      await page.getByRole("complementary").getByText("to come").waitFor()
      await page.keyboard.press("]")
      await page.getByText("As of frame 2").waitFor()
      // On to the frame in which the form has failed once, whatever else had ended before it.
      await page.keyboard.press("n")
      await page.locator(".drawer .chip", { hasText: "retrying" }).waitFor()
      const frame = Number(new URL(page.url()).searchParams.get("frame"))
      await page.reload()
      await page.getByText(`As of frame ${frame}`).waitFor()
      await page.getByRole("button", { name: "Fork from here…" }).click()
      const dialog = page.getByRole("dialog", { name: "Fork the run" })
      await dialog.locator("[data-fate=kept]", { hasText: "outline" }).waitFor()
      await dialog.locator("[data-fate=rerun]", { hasText: "implement-form" }).waitFor()
      await dialog.getByRole("button", { name: "Fork", exact: true }).click()
      await page.waitForURL((url) => url.pathname.startsWith("/runs/") && url.pathname !== "/runs/forked")
      await page.getByText("forked from").waitFor()
      await statusChip(page, "waits for a person")
      const runId = decodeURIComponent(new URL(page.url()).pathname.split("/")[2] ?? "")
      expect(await runOf(runId)).toMatchObject({ forkedFrom: { runId: "forked", frame } })
      await page.getByRole("tab", { name: "Compare" }).click()
      await page.getByText(/^forked \(waiting-approval\) → .*: \d+ nodes? differs?$/).waitFor()
      await page.getByRole("link", { name: "forked", exact: true }).click()
      await page.getByRole("link", { name: "1 fork" }).click()
      await page.locator(".runrow", { hasText: runId }).waitFor()
      expect(await page.locator(".runrow").count()).toBe(1)
      await page.context().close()
    })

    it("takes nothing of a run for markup, wherever it is shown", async () => {
      const payload = `<img src=x onerror="window.pwned=1"><script>window.pwned=1</script>"'\`\${1}</textarea>`
      await stage.start("hostile", "echo", { text: payload }, [payload.slice(0, 60)])
      await stage.becomes("hostile", "waiting-approval")
      const page = await stage.page("/runs")
      const places = [
        "/runs",
        `/runs?tag=${encodeURIComponent(payload.slice(0, 60))}`,
        "/inbox",
        ...["", "?node=ask", "?node=say&panel=output", "?node=flaky", "?node=flaky&panel=diff", "?tab=timeline", "?tab=events"].map(
          (query) => `/runs/hostile${query}`,
        ),
        "/runs/hostile?tab=values",
        `/runs/hostile?node=${encodeURIComponent(payload)}`,
        `/runs/${encodeURIComponent(payload)}`,
        `/workflows/${encodeURIComponent(payload)}`,
        `/runs?q=${encodeURIComponent(payload)}&workflow=${encodeURIComponent(payload)}`,
      ]
      for (const place of places) {
        await page.goto(`${stage.server().url}${place}`)
        await page.waitForFunction(() => document.querySelector("main h1") !== null)
        await page.waitForTimeout(250)
        const found = await page.evaluate(() => ({
          pwned: "pwned" in window,
          images: document.images.length,
          scripts: document.querySelectorAll("body script").length,
        }))
        expect({ place, ...found }).toEqual({ place, pwned: false, images: 0, scripts: 0 })
      }
      await page.goto(`${stage.server().url}/runs/hostile?node=flaky`)
      await page.getByRole("complementary").getByText(payload.slice(0, 30)).first().waitFor()
      await page.context().close()
    })

    it("never said anything wrong in its console", () => {
      expect(stage.problems).toEqual([])
    })
  },
)

describe.skipIf(Stage.missing !== undefined)("a page on a database that can no longer be read", () => {
  it("keeps what it has, and says so", async () => {
    const stage = await Stage.open()
    try {
      await stage.start("kept", "survey")
      await stage.becomes("kept", "waiting-approval")
      const page = await stage.page("/runs")
      await page.locator(".runrow", { hasText: "kept" }).waitFor()
      await Fixture.until(async () => (await stage.server().ask("runs/kept")).body.run.owner !== undefined, "the run is there")
      for (const name of ["smithers.db", "smithers.db-wal", "smithers.db-shm"]) {
        if (existsSync(stage.folder.file(name))) writeFileSync(stage.folder.file(name), "no database ".repeat(2_000))
      }
      await page.getByText("The database cannot be read now").waitFor()
      expect(await page.locator(".runrow", { hasText: "kept" }).count()).toBe(1)
      await page.goto(`${stage.server().url}/runs/kept`)
      await page.getByRole("alert").first().waitFor()
      expect(stage.problems).toEqual([])
      await page.context().close()
    } finally {
      await stage.close()
    }
  })
})
