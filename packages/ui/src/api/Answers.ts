/** The answers of the server, by the types of its operations. Types only: nothing of the server is in the page. */
import type * as Comparing from "@smithers/server/operations/comparing"
import type * as Costs from "@smithers/server/operations/costs"
import type * as Database from "@smithers/server/operations/database"
import type * as Nodes from "@smithers/server/operations/nodes"
import type * as Runs from "@smithers/server/operations/runs"
import type * as Schedules from "@smithers/server/operations/schedules"
import type * as Travel from "@smithers/server/operations/travel"
import type * as Decisions from "@smithers/server/operations/waits"
import type * as Workflows from "@smithers/server/operations/workflows"

type Answer<Operation extends { readonly output: { readonly Type: unknown } }> = Operation["output"]["Type"]

export type RunPage = Answer<typeof Runs.listRuns>
export type ListedRun = RunPage["runs"][number]
export type Overview = Answer<typeof Runs.readRun>
export type Details = Answer<typeof Runs.runDetails>
export type Why = Answer<typeof Runs.explainRun>
export type Action = Why["actions"][number]

export type Plan = Answer<typeof Travel.readPlan>
export type State = Answer<typeof Travel.readState>
export type FramePage = Answer<typeof Travel.readTimeline>
export type EventPage = Answer<typeof Travel.readEvents>
export type Comparison = Answer<typeof Comparing.compareRuns>
export type NodeDifference = Answer<typeof Comparing.compareAttempts>

export type Node = Answer<typeof Nodes.readNode>
export type Transcript = Answer<typeof Nodes.readTranscript>

export type Waits = Answer<typeof Decisions.readWaits>
export type Inbox = Answer<typeof Decisions.readInbox>

export type Counts = Answer<typeof Database.countRuns>
export type DatabaseInfo = Answer<typeof Database.readDatabase>
export type RunCosts = Answer<typeof Costs.readCosts>
export type AllCosts = Answer<typeof Costs.readAllCosts>

export type ScheduleList = Answer<typeof Schedules.listSchedules>
export type ShownSchedule = Answer<typeof Schedules.readSchedule>

export type WorkflowList = Answer<typeof Workflows.listWorkflows>
export type Described = Answer<typeof Workflows.describeWorkflow>
export type Started = Answer<typeof Workflows.startRun>
export type Reverted = Answer<typeof Workflows.revertRun>
export type Forked = Answer<typeof Workflows.forkRun>
