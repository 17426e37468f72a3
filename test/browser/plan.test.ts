/** The plan of a run in Chromium: child runs within it, and what nodes read of one another. */
import { copyFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import * as Fixture from "../cli/Fixture.ts"
import * as Stage from "./Stage.ts"

describe.skipIf(Stage.missing !== undefined)("child runs and reads in the plan", () => {
  let stage: Stage.Stage
  beforeAll(async () => {
    // Decisions are taken up by the supervisor, whatever process has begun a run.
    stage = await Stage.open("--supervise")
    await stage.start("small", "family", { targets: 2 })
    await stage.start("wide", "family", { targets: 40 })
    const { status, text } = await stage.server().ask("runs", { workflow: "reads", runId: "reading" })
    expect({ status, text }).toMatchObject({ status: 200 })
    await stage.becomes("small", "waiting-approval")
    await stage.becomes("reading", "finished")
  })
  afterAll(() => stage?.close())

  it("opens a child run in its place, and the child of that, follows them live and by frames, and folds them again", async () => {
    const page = await stage.page("/runs/small")
    const graph = page.getByLabel("Plan as a graph")
    const twist = (name: string) => graph.getByRole("button", { name })
    await twist("Show the child run of targets[t1].build").click()
    await graph.getByRole("button", { name: /^compile, step, finished/ }).waitFor()
    await twist("Show the child run of sign").click()
    await graph.getByRole("button", { name: /^signature/ }).click()
    const drawer = page.getByRole("complementary", { name: "Node signature" })
    await drawer.getByText("in the child run").waitFor()
    await drawer.getByText("Sign t1?").waitFor()
    expect(new URL(page.url()).searchParams.get("in")).toBe("small~targets[t1].build~0~sign~0")
    await drawer.getByRole("button", { name: "Approve" }).click()
    await graph.getByRole("button", { name: /^pack, step, finished/ }).waitFor()
    await graph.getByRole("button", { name: /^seal, step, finished/ }).waitFor()
    await page.reload()
    await graph.getByRole("button", { name: /^seal, step, finished/ }).waitFor()
    // The parent has a second frame once it has heard of its child. In the first the child had done nothing yet.
    await page.getByText(/^frame ([2-9]|\d\d) of /).waitFor()
    await page.getByRole("slider", { name: "Frame" }).focus()
    await page.keyboard.press("Home")
    await page.getByText("As of frame 1").waitFor()
    await graph.getByRole("button", { name: /^seal, step, finished/ }).waitFor({ state: "detached" })
    await page.keyboard.press("\\")
    await graph.getByRole("button", { name: /^seal, step, finished/ }).waitFor()
    await twist("Fold the child run of targets[t1].build").click()
    await graph.getByRole("button", { name: /^compile/ }).waitFor({ state: "detached" })
    await page.keyboard.press("t")
    const tree = page.getByRole("tree", { name: "Plan as a tree" })
    const row = tree.getByRole("treeitem", { name: /targets\[t2\]\.build/ })
    await row.focus()
    await page.keyboard.press("ArrowRight")
    await tree.getByRole("treeitem", { name: /compile/ }).waitFor()
    await page.context().close()
  })

  it("draws 10,000 nodes, is moved from far and from near, and shows any of them", async () => {
    copyFileSync(join(import.meta.dirname, "fixtures", "large.ts"), stage.folder.file("workflows/large.ts"))
    const { status, text } = await stage.server().ask("runs", { workflow: "large", runId: "large" })
    expect({ status, text }).toMatchObject({ status: 200 })
    await stage.becomes("large", "waiting-approval")
    const page = await stage.page("/runs/large")
    await page.waitForFunction(() => Number(document.querySelector(".graph")?.getAttribute("data-nodes")) >= 10_000)
    for (const isFar of [true, false]) {
      if (isFar) await page.getByRole("button", { name: "Fit" }).click()
      else await page.goto(`${stage.server().url}/runs/large?node=row-19-step-499`)
      await page.locator(".graph").waitFor()
      await page.mouse.move(700, 450)
      await page.mouse.down()
      for (let step = 0; step < 40; step++) await page.mouse.move(700 - step * 6, 450 - step * 2)
      await page.mouse.up()
    }
    await page.getByRole("complementary", { name: "Node row-19-step-499" }).waitFor()
    await page.context().close()
  })

  it("groups many child runs with their counts, and opens any of them", async () => {
    await Fixture.until(
      async () =>
        (await stage.server().ask("inbox?limit=100")).body.waits.filter(({ runId }: { runId: string }) => runId.startsWith("wide"))
          .length >= 40,
      "all child runs wait",
    )
    const page = await stage.page("/runs/wide")
    const graph = page.getByLabel("Plan as a graph")
    await graph.getByRole("button", { name: /^40 × child run/ }).click()
    await page.goto(
      `${stage.server().url}/runs/wide?as=tree&open=${encodeURIComponent([new URL(page.url()).searchParams.get("open") ?? "", encodeURIComponent("targets[t31].build")].join(","))}`,
    )
    const tree = page.getByRole("tree", { name: "Plan as a tree" })
    await tree.getByRole("treeitem").first().focus()
    await page.keyboard.press("End")
    await tree
      .getByRole("treeitem", { name: /targets\[t40\]/ })
      .first()
      .waitFor()
    await page.goto(`${page.url()}&node=${encodeURIComponent("targets[t31].build")}`)
    await tree.getByRole("treeitem", { name: /compile.*finished/ }).waitFor()
    await page.context().close()
  })

  it("draws of a child run that goes on as others the latest, with its address, and names the request of each button", async () => {
    await stage.start("rounds", "rounds")
    await Fixture.until(
      async () =>
        (await stage.server().ask("inbox?limit=100")).body.waits.some(({ nodeId }: { nodeId: string }) => nodeId === "stop"),
      "the last round asks",
    )
    const page = await stage.page("/runs/rounds")
    const graph = page.getByLabel("Plan as a graph")
    await graph.getByRole("button", { name: "Show the child run of turns" }).click()
    await graph.getByRole("button", { name: /^stop, approval, waiting|^stop approval/ }).waitFor()
    const why = page.locator("[data-why]")
    expect((await why.getByRole("button", { name: /^Show the request/ }).allInnerTexts()).toSorted()).toEqual([
      "Show the request · legal",
      "Show the request · stop of rounds~turns~0~g2",
      "Show the request · wise",
    ])
    await why.getByRole("button", { name: /stop/ }).click()
    await page.getByRole("complementary", { name: "Node stop" }).getByText("Stop here?").waitFor()
    expect(new URL(page.url()).searchParams.get("in")).toBe("rounds~turns~0~g2")
    await graph.getByRole("link", { name: "goes on as rounds~turns~0~g2" }).click()
    await page.getByRole("heading", { name: "rounds~turns~0~g2" }).waitFor()
    await page.context().close()
  })

  it("says on the node which child run is not drawn, since 50 are open at most", async () => {
    const targets = Array.from({ length: 40 }, (_, index) => `targets[t${index + 1}].build`)
    const signs = targets.slice(0, 11).map((id) => `wide~${id}~0 › sign`)
    const address = (keys: ReadonlyArray<string>) =>
      `${stage.server().url}/runs/wide?as=tree&open=${encodeURIComponent(keys.map(encodeURIComponent).join(","))}`
    const page = await stage.page("/runs/wide")
    await page
      .getByLabel("Plan as a graph")
      .getByRole("button", { name: /^40 × child run/ })
      .click()
    const fan = decodeURIComponent(new URL(page.url()).searchParams.get("open") ?? "")
    await page.goto(address([fan, ...targets, ...signs]))
    const tree = page.getByRole("tree", { name: "Plan as a tree" })
    await tree.getByRole("treeitem").first().focus()
    // Plans come one after the other, and each makes the tree longer.
    await Fixture.until(async () => {
      await page.keyboard.press("End")
      return tree.getByText("not drawn: 50 child runs are open at most. Close one").isVisible()
    }, "the last child run is said not to be drawn")
    await page.context().close()
  })

  it("says and draws what a node has read across branches, and who has read it", async () => {
    const page = await stage.page("/runs/reading?node=sum")
    await page.locator("[data-links]", { hasText: /reads left/ }).waitFor()
    await page.getByLabel("Plan as a graph").getByRole("button", { name: /^left/ }).click()
    await page.locator("[data-links]", { hasText: "read by sum" }).waitFor()
    expect(stage.problems).toEqual([])
    await page.context().close()
  })
})
