/**
 * A number is no time as long as nobody has read it as one, so that none reaches a row.
 */

import type { InboxMessage } from "@smithers/core/Inbox"
import type * as Millis from "@smithers/core/Millis"
import type { Step, Wait } from "@smithers/core/Plan"
import type { RunEvent } from "@smithers/core/RunEvent"
import type { OpenRequest } from "@smithers/core/RunOwnership"
import type { Frame, Heartbeat } from "@smithers/core/RunStore"
import { expectTypeOf } from "vitest"

type Event<Tag extends RunEvent["_tag"]> = Extract<RunEvent, { readonly _tag: Tag }>
type Time = Millis.Millis | undefined

expectTypeOf<number>().not.toExtend<Millis.Millis>()
expectTypeOf<Event<"WaitStarted">["deadline"]>().toEqualTypeOf<Time>()
expectTypeOf<Event<"AttemptFailed">["retryAt"]>().toEqualTypeOf<Time>()
expectTypeOf<Event<"ApprovalDecided">["submittedAt"]>().toEqualTypeOf<Time>()
expectTypeOf<Event<"TaskAnswered">["submittedAt"]>().toEqualTypeOf<Time>()
expectTypeOf<Step["timeoutMs"]>().toEqualTypeOf<Time>()
expectTypeOf<Step["heartbeatTimeoutMs"]>().toEqualTypeOf<Time>()
expectTypeOf<NonNullable<Step["cache"]>["ttlMs"]>().toEqualTypeOf<Time>()
expectTypeOf<Wait["timeoutMs"]>().toEqualTypeOf<Time>()
expectTypeOf<Frame["at"] | InboxMessage["at"] | Heartbeat["at"]>().toEqualTypeOf<Millis.Millis>()
expectTypeOf<OpenRequest["leaseMs"] | OpenRequest["now"]>().toEqualTypeOf<Millis.Millis>()
