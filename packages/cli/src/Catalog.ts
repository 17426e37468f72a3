/**
 * All commands, in the order of help and documents.
 */
import * as Deciding from "./commands/deciding.ts"
import * as Keeping from "./commands/keeping.ts"
import * as LookingBack from "./commands/lookingBack.ts"
import * as Running from "./commands/running.ts"
import * as Scheduling from "./commands/scheduling.ts"
import * as Serving from "./commands/serving.ts"
import * as Watching from "./commands/watching.ts"
import * as Writing from "./commands/writing.ts"
import type { Definition } from "./Definition.ts"

const { up, supervise, retry, fork, revert, cancel, cancelNode, completeNode, pause, unpause, down } = Running
const { ps, inspect, node, logs, events, why, output, scores, chat, tools, costs, metrics } = Watching
const { serve, ui, mcp, tokenAdd, tokenList, tokenRemove, hookAdd, hookList, hookRemove } = Serving
const { scheduleAdd, scheduleList, scheduleShow, schedulePause, scheduleUnpause, scheduleRunNow, scheduleRemove } = Scheduling
const { timeline, show, diff } = LookingBack
const { approve, budget, deny, answer, signal, publish, published, inbox } = Deciding
const { init, eject, graph, check, replay, agents } = Writing
const { workflowList, workflowRun, workflowPath, workflowShow, workflowCreate, workflowDoctor } = Writing
const { dbPath, dbCheck, dbVacuum, dbPrune, cacheList, cacheClear, limitList, limitSet, completions } = Keeping
const { memoryList, memorySearch, memoryGet, memorySet, memoryDelete } = Keeping

/** Commands by group. */
export const groups: ReadonlyArray<readonly [title: string, definitions: ReadonlyArray<Definition>]> = [
  ["Run", [up, supervise, cancel, pause, unpause, retry, fork, revert, cancelNode, completeNode, down]],
  ["Schedule", [scheduleAdd, scheduleList, scheduleShow, schedulePause, scheduleUnpause, scheduleRunNow, scheduleRemove]],
  ["Watch", [ps, why, inspect, node, output, scores, chat, tools, costs, logs, events, metrics]],
  ["Look back", [timeline, show, diff]],
  ["Decide", [inbox, approve, deny, answer, budget, signal, publish, published]],
  [
    "Write",
    [
      init,
      eject,
      graph,
      check,
      replay,
      agents,
      workflowList,
      workflowRun,
      workflowPath,
      workflowShow,
      workflowCreate,
      workflowDoctor,
    ],
  ],
  ["Serve", [serve, ui, mcp, tokenAdd, tokenList, tokenRemove, hookAdd, hookList, hookRemove]],
  ["Remember", [memoryList, memorySearch, memoryGet, memorySet, memoryDelete]],
  ["Keep", [dbPath, dbCheck, dbVacuum, dbPrune, cacheList, cacheClear, limitList, limitSet, completions]],
]

export const all: ReadonlyArray<Definition> = groups.flatMap(([, definitions]) => definitions)

/** Returns the command that a line begins with. */
export const find = (words: ReadonlyArray<string>): Definition | undefined =>
  all.find(({ path }) => path.every((word, index) => words[index] === word))
