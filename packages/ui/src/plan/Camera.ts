/** Where one looks at the plan from: a translation in pixels of the screen, and a zoom. Plain functions. */
import type { Area } from "./Layout.ts"

export interface Camera {
  readonly x: number
  readonly y: number
  readonly zoom: number
}

export interface Extent {
  readonly width: number
  readonly height: number
}

export const limits = { least: 0.02, most: 2 } as const

/** Below this zoom boxes are drawn as colours, above it as elements. */
export const nearFrom = 0.35

const clamp = (zoom: number): number => Math.min(limits.most, Math.max(limits.least, zoom))

/** Shows all of an area, in the middle of the screen; at most at `most`. */
export const fit = (area: Area, screen: Extent, most = 1, margin = 24): Camera => {
  const zoom = clamp(
    Math.min(most, (screen.width - 2 * margin) / Math.max(1, area.width), (screen.height - 2 * margin) / Math.max(1, area.height)),
  )
  return centered(area, screen, zoom)
}

/** Shows the middle of an area at a zoom. */
export const centered = (area: Area, screen: Extent, zoom: number): Camera => ({
  x: screen.width / 2 - (area.x + area.width / 2) * zoom,
  y: screen.height / 2 - (area.y + area.height / 2) * zoom,
  zoom,
})

/** Changes the zoom by a factor; the point under the pointer stays. */
export const zoomed = ({ x, y, zoom }: Camera, factor: number, at: { readonly x: number; readonly y: number }): Camera => {
  const next = clamp(zoom * factor)
  const by = next / zoom
  return { x: at.x - (at.x - x) * by, y: at.y - (at.y - y) * by, zoom: next }
}

export const moved = ({ x, y, zoom }: Camera, byX: number, byY: number): Camera => ({ x: x + byX, y: y + byY, zoom })

/** The area of the plan on the screen, with a margin of the screen's size times `beyond`. */
export const seen = ({ x, y, zoom }: Camera, screen: Extent, beyond = 0): Area => {
  const [marginX, marginY] = [screen.width * beyond, screen.height * beyond]
  return {
    x: (-x - marginX) / zoom,
    y: (-y - marginY) / zoom,
    width: (screen.width + 2 * marginX) / zoom,
    height: (screen.height + 2 * marginY) / zoom,
  }
}

/** `true` if an area is wholly in another. */
export const holds = (outer: Area, inner: Area): boolean =>
  inner.x >= outer.x &&
  inner.y >= outer.y &&
  inner.x + inner.width <= outer.x + outer.width &&
  inner.y + inner.height <= outer.y + outer.height

/** The opening view: everything where it can be read, else the start at a zoom that can. */
export const opening = (total: Extent, screen: Extent): Camera => {
  const all = fit({ x: 0, y: 0, ...total }, screen)
  if (all.zoom >= 0.6) return all
  const zoom = 0.8
  return { x: 24, y: screen.height / 2 - (total.height / 2) * zoom, zoom }
}
