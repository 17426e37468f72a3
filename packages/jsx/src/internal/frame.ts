/**
 * What components find in React's context: the frame that is being rendered, and the loop they are in.
 */
import type { Caught } from "@smithers/core/Builder"
import * as React from "react"
import type { Ctx } from "../Ctx.ts"

export interface Frame {
  readonly ctx: (loop: string | undefined) => Ctx
  /** What a try has caught in the current pass of the loop it is in, if anything. */
  readonly caught: (boundary: string, loop: string | undefined) => Caught | undefined
  /** What stands at a place is called, where that is not the place itself. */
  readonly nameOf: (place: string) => string | undefined
}

export const frameContext = React.createContext<Frame | undefined>(undefined)

export const loopContext = React.createContext<string | undefined>(undefined)
