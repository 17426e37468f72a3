/**
 * React contexts for components: the frame that is rendering, and the loop around the component.
 */
import type { Caught } from "@smithers/core/Builder"
import * as React from "react"
import type { Ctx } from "../Ctx.ts"

export interface Frame {
  readonly ctx: (loop: string | undefined) => Ctx
  /** Returns the failure that a try has caught in the current iteration of its loop. */
  readonly caught: (boundary: string, loop: string | undefined) => Caught | undefined
  /** Returns the name at a path, if it differs from the path. */
  readonly nameOf: (path: string) => string | undefined
}

export const frameContext = React.createContext<Frame | undefined>(undefined)

export const loopContext = React.createContext<string | undefined>(undefined)
