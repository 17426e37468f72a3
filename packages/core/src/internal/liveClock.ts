/**
 * The clock of the platform, to distinguish it from a test clock.
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"

export const liveClock: Clock.Clock = Context.get(DefaultServices.liveServices, Clock.Clock)
