import type { CommandRunnerShape } from "@smithers/core/CommandRunner"
import type * as Prices from "./Prices.ts"
import type * as ToolSession from "./ToolSession.ts"

/** The rights of tools, and the means to run commands. */
export interface ToolSettings {
  readonly rights?: ToolSession.ToolRights | undefined
  /** Default: none; tools that run commands are refused. */
  readonly commands?: CommandRunnerShape | undefined
  /** Prices of models besides the bundled ones. Default: none. */
  readonly prices?: Prices.Prices | undefined
}
