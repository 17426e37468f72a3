/** Draws what of the plan is no element: lines always, boxes when one looks from far. */
import type { Camera, Extent } from "../plan/Camera.ts"
import { nearFrom, seen } from "../plan/Camera.ts"
import type { Layout } from "../plan/Layout.ts"
import { type Tone, tones } from "../plan/Tone.ts"

export type Colours = { readonly [T in Tone]: string } & {
  readonly line: string
  readonly panel: string
  readonly accent: string
  readonly strong: string
}

/** Reads the colours of the page, which follow the scheme of the system. */
export const coloursOf = (element: Element): Colours => {
  const style = getComputedStyle(element)
  const probe = document.createElement("span")
  element.append(probe)
  const read = (name: string): string => {
    if (style.getPropertyValue(`--${name}`) === "") return "#888"
    probe.style.color = `var(--${name})`
    return getComputedStyle(probe).color
  }
  const found = {
    ...Object.fromEntries(tones.map((tone) => [tone, read(tone)])),
    line: read("line"),
    panel: read("panel"),
    accent: read("accent"),
    strong: read("line-strong"),
  }
  probe.remove()
  return found as Colours
}

/** Lines between the selected node and what it needs or has read, and what needs or has read it. */
export type Links = ReadonlyArray<readonly [from: number, to: number, kind: "needs" | "reads"]>

export const draw = (
  context: CanvasRenderingContext2D,
  layout: Layout,
  camera: Camera,
  screen: Extent,
  colours: Colours,
  ratio: number,
  selected: number,
  links: Links,
): void => {
  const { x, y, width, height, isBox, lines, ends, outline } = layout
  const { zoom } = camera
  context.setTransform(1, 0, 0, 1, 0, 0)
  context.clearRect(0, 0, screen.width * ratio, screen.height * ratio)
  context.setTransform(zoom * ratio, 0, 0, zoom * ratio, camera.x * ratio, camera.y * ratio)
  const area = seen(camera, screen)
  const [right, bottom] = [area.x + area.width, area.y + area.height]
  const passed = new Path2D()
  const ahead = new Path2D()
  const isFlat = zoom < 0.12
  for (let at = 0; at < lines.length; at += 4) {
    const [x1, y1, x2, y2] = [lines[at] as number, lines[at + 1] as number, lines[at + 2] as number, lines[at + 3] as number]
    if (Math.max(x1, x2) < area.x || Math.min(x1, x2) > right || Math.max(y1, y2) < area.y || Math.min(y1, y2) > bottom) continue
    const to = ends[at / 2 + 1] as number
    const path = outline.tones[to] === "idle" ? ahead : passed
    path.moveTo(x1, y1)
    if (isFlat || y1 === y2) path.lineTo(x2, y2)
    else {
      const middle = (x1 + x2) / 2
      path.bezierCurveTo(middle, y1, middle, y2, x2, y2)
    }
  }
  context.lineWidth = Math.max(1.2, 0.8 / zoom)
  context.strokeStyle = colours.strong
  context.stroke(ahead)
  context.strokeStyle = colours.idle
  context.stroke(passed)
  if (zoom < nearFrom) {
    for (const tone of tones) {
      context.fillStyle = colours[tone]
      for (let at = 0; at < x.length; at++) {
        if (!isBox[at] || outline.tones[at] !== tone) continue
        const [left, top, wide, high] = [x[at] as number, y[at] as number, width[at] as number, height[at] as number]
        if (left > right || top > bottom || left + wide < area.x || top + high < area.y) continue
        if ((outline.ends[at] as number) > at + 1) {
          context.strokeStyle = colours.strong
          context.lineWidth = 1 / zoom
          context.strokeRect(left, top, wide, high)
        } else context.fillRect(left, top, wide, high)
      }
    }
    if (selected >= 0) {
      context.strokeStyle = colours.accent
      context.lineWidth = 3 / zoom
      context.strokeRect(x[selected] as number, y[selected] as number, width[selected] as number, height[selected] as number)
    }
  }
  if (links.length === 0) return
  context.strokeStyle = colours.accent
  context.lineWidth = Math.max(1.6, 1.2 / zoom)
  for (const [from, to, kind] of links) {
    context.setLineDash(kind === "needs" ? [6, 4] : [1.5, 4])
    const [x1, y1] = [(x[from] as number) + (width[from] as number), (y[from] as number) + (height[from] as number) / 2]
    const [x2, y2] = [x[to] as number, (y[to] as number) + (height[to] as number) / 2]
    const distance = x2 - x1
    const bend = Math.abs(distance) / 3
    // Over what stands between; straight on to a neighbour.
    const rise = distance < 90 ? 0 : bend / 2
    context.beginPath()
    context.moveTo(x1, y1)
    context.bezierCurveTo(x1 + bend, y1 - rise, x2 - bend, y2 - rise, x2, y2)
    context.stroke()
  }
  context.setLineDash([])
}
