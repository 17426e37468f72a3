/**
 * Turns what an agent says about a failure into an error: by the status of its provider where it tells one, otherwise by its words.
 * Agents have no codes for most of this, and their exit codes say little: some end with 0 after a refused key.
 */
import { defined } from "@smithers/core/Struct"
import * as Errors from "./Errors.ts"
import * as ResetTime from "./ResetTime.ts"

/** Facts of an agent that its errors tell. */
export interface Facts {
  readonly agent: string
  readonly login: string | undefined
  readonly folder: string
  /** Epoch milliseconds. */
  readonly now: number
}

/** A failure in the words of the agent. */
export interface Said {
  readonly text: string
  readonly status?: number | undefined
  /** Epoch milliseconds at which a limit ends. */
  readonly resetAt?: number | undefined
  /** The session that was to be resumed or begun. */
  readonly session?: string | undefined
}

const words = {
  trust:
    /not (?:running )?(?:inside|in) a trusted|--skip-trust|--trust\b|workspace trust|trust (?:this|the) (?:folder|directory|workspace)/i,
  unknownSession:
    /no (?:conversation|session|rollout|thread)s? (?:was |were )?found|(?:session|thread|conversation)\b.{0,80}\b(?:not found|does not exist|unknown)|unknown (?:session|thread)|no such (?:session|thread)/i,
  inUse: /session(?: id)?\b.{0,80}\balready (?:in use|exists)/i,
  context:
    /prompt is too long|context (?:length|window|limit)|context_length_exceeded|maximum context|too many tokens|input is too long|exceeds the (?:model's )?context/i,
  login:
    /not logged in|log ?in (?:first|again|required|to continue)|please (?:run|use)\b.{0,40}\blog ?in|unauthori[sz]ed|invalid (?:x-)?api[- ]key|incorrect api key|api key (?:not|is not|was not)|no api key|missing api key|authentication (?:required|failed|error)|authentication_error|must (?:specify|set)\b.{0,60}(?:_API_KEY|auth)|auth(?:entication)? method|oauth token (?:has )?expired|token (?:has )?expired|invalid (?:authentication )?credentials|no (?:auth|credentials)|api_key_invalid/i,
  limit:
    /(?:usage|session|weekly|daily|hourly|5-hour|plan|spend(?:ing)?|monthly)[- ]limit|hit your limit|limit (?:has been )?reached|reached your .{0,30}limit|out of (?:\w+ )?(?:credits|quota|usage)|(?:exceeded|exhausted) your (?:current |daily |monthly )?quota|insufficient_quota|quota (?:exceeded|exhausted)|credit balance|billing/i,
  rate: /rate.?limit|too many requests|resource.?exhausted|\b429\b|slow down/i,
  overload:
    /overloaded|over capacity|at capacity|server.?error|service.?unavailable|bad gateway|gateway time-?out|\b5(?:0[0234]|29)\b|waiting for network|connection (?:failed|error|refused|reset|closed)|network error|stream (?:disconnected|closed)|fetch failed|ECONN|ETIMEDOUT|ENOTFOUND|EAI_AGAIN|socket hang up|timed out/i,
  refused:
    /unknown option|unexpected argument|unrecognized (?:option|argument)|unknown argument|invalid (?:option|argument|value|request)|invalid_request|bad request|(?:model|deployment)\b.{0,80}\b(?:not found|does not exist|not supported|not available)|error loading config/i,
}

/** The status in the text of a failure. */
const statusIn = (text: string): number | undefined => {
  const [, status] = /\bstatus(?: code)?:? "?(\d{3})\b/i.exec(text) ?? /\b(?:error|HTTP|code)[ :(]+"?([45]\d\d)\b/i.exec(text) ?? []
  return status === undefined ? undefined : Number(status)
}

/** The longest text of an agent that an error repeats. */
const longestDetail = 1000

const shorten = (text: string): string => {
  const trimmed = text.trim()
  return trimmed.length > longestDetail ? `${trimmed.slice(0, longestDetail)} …` : trimmed
}

/** Reads a failure; `undefined` if its words say nothing that is known. */
export const read = (facts: Facts, said: Said): Errors.CommandLineError | undefined => {
  const { agent, login, folder, now } = facts
  const { text, session = "" } = said
  const detail = shorten(text)
  const status = said.status ?? statusIn(text)
  const has = (kind: keyof typeof words): boolean => words[kind].test(text)
  if (has("inUse")) return new Errors.AgentSessionInUse({ agent, session })
  if (has("unknownSession")) return new Errors.AgentSessionUnknown({ agent, session })
  if (has("trust")) return new Errors.AgentFolderUntrusted({ agent, folder })
  if (has("context") || status === 413) return new Errors.AgentContextTooLong({ agent, detail })
  const resetAt = said.resetAt ?? ResetTime.find(text, now)
  if (has("limit") || status === 402) return new Errors.AgentLimitReached({ agent, detail, ...defined({ resetAt }) })
  if (status === 401 || status === 403) return new Errors.AgentNotLoggedIn({ agent, detail, ...defined({ login }) })
  if (status === 429 || (status === undefined && has("rate"))) {
    // A wait of minutes is for a limit, and is to be seen as one.
    if (resetAt !== undefined && resetAt - now > longestRateMs) return new Errors.AgentLimitReached({ agent, detail, resetAt })
    const retryAfterMs = resetAt === undefined ? undefined : Math.max(0, resetAt - now)
    return new Errors.AgentRateLimited({ agent, detail, ...defined({ retryAfterMs }) })
  }
  if (status !== undefined && (status >= 500 || status === 408)) return new Errors.AgentOverloaded({ agent, detail, status })
  if (has("login")) return new Errors.AgentNotLoggedIn({ agent, detail, ...defined({ login }) })
  if (status !== undefined && status >= 400) return new Errors.AgentRequestRefused({ agent, detail, status })
  if (has("refused")) return new Errors.AgentRequestRefused({ agent, detail })
  if (has("overload")) return new Errors.AgentOverloaded({ agent, detail })
  return undefined
}

/** Milliseconds up to which a wait is one for requests, rather than for a limit. */
const longestRateMs = 5 * 60_000
