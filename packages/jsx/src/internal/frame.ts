/**
 * What components find in React's context: the frame that is being rendered, and the loop they are in.
 */
import * as React from "react"
import type { Ctx } from "../Ctx.ts"

export interface Frame {
  readonly ctx: (loop: string | undefined) => Ctx
}

export const frameContext = React.createContext<Frame | undefined>(undefined)

export const loopContext = React.createContext<string | undefined>(undefined)
