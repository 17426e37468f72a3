/**
 * Command-line agents by name: Claude Code and Codex by formats of their own, others by the Agent Client Protocol.
 */
import type * as Settings from "@smithers/core/Settings"
import * as Acp from "./Acp.ts"
import * as Claude from "./Claude.ts"
import * as Cli from "./Cli.ts"
import * as Codex from "./Codex.ts"
import { type CommandLineAgent, type CommonSettings, commonNames, make } from "./CommandLineAgent.ts"
import type { Dialect } from "./Dialect.ts"
import * as Pi from "./Pi.ts"

/** Makes an agent of its settings, with and without `new`. */
interface Maker<S> {
  (settings: S): CommandLineAgent
  new (settings: S): CommandLineAgent
}

/** A maker whose settings have defaults for all. */
interface OptionalMaker<S> {
  (settings?: S): CommandLineAgent
  new (settings?: S): CommandLineAgent
}

/** A function that returns an object works with `new` as well, which the types of functions do not say. */
const maker = <S extends CommonSettings>(
  of: string,
  names: Settings.Names<S>,
  dialect: (settings: S) => Dialect,
): OptionalMaker<S> => {
  // No arrow function: those cannot be called with `new`.
  function agent(settings: S = {} as S): CommandLineAgent {
    return make(of, settings, names, dialect(settings))
  }
  return agent as unknown as OptionalMaker<S>
}

/** Settings of {@link ClaudeCodeAgent}. */
export interface ClaudeCodeSettings extends CommonSettings, Claude.ClaudeOptions {}

/**
 * Claude Code (`claude`), with the login of the user or `ANTHROPIC_API_KEY`. It edits files below the root and runs commands, inside of
 * the sandbox of the runtime; `permissionMode` and `tools` restrict it further.
 *
 * @example
 * import { ClaudeCodeAgent } from "smithers-orchestrator/agents"
 *
 * const coder = ClaudeCodeAgent({ model: "sonnet", maxBudgetUsd: 2 })
 */
export const ClaudeCodeAgent: OptionalMaker<ClaudeCodeSettings> = maker<ClaudeCodeSettings>(
  "ClaudeCodeAgent",
  {
    ...commonNames,
    ...{ model: true, permissionMode: true, allowedTools: true, disallowedTools: true, tools: true, maxTurns: true },
    ...{ maxBudgetUsd: true, addDirs: true, mcpConfig: true, settingSources: true, structuredOutput: true, args: true },
  },
  Claude.make,
)

/** Settings of {@link CodexAgent}. */
export interface CodexSettings extends CommonSettings, Codex.CodexOptions {}

/** Codex (`codex`), with the login of the user or `CODEX_API_KEY`. */
export const CodexAgent: OptionalMaker<CodexSettings> = maker<CodexSettings>(
  "CodexAgent",
  {
    ...commonNames,
    model: true,
    sandbox: true,
    config: true,
    addDirs: true,
    ignoreConfig: true,
    structuredOutput: true,
    args: true,
  },
  Codex.make,
)

/** Facts of the program behind an {@link AcpAgent}. */
export interface AcpProgramSettings {
  /** Command that installs the program, for the error of one that is not there. */
  readonly install?: string | undefined
  /** Command that logs in, for the error of one that is not. */
  readonly login?: string | undefined
  /** Names of variables of this process that it gets, such as its key. */
  readonly variables?: ReadonlyArray<string> | undefined
  /** Files and directories of its login and its conversations; `~` is the home. They are read and written. */
  readonly state?: ReadonlyArray<string> | undefined
  /** Hosts of its provider, for a network by list. */
  readonly hosts?: ReadonlyArray<string> | undefined
}

/** Settings of the presets of {@link AcpAgent}. */
export interface AcpPresetSettings extends CommonSettings, Acp.AcpOptions {}

/** Settings of {@link AcpAgent}. */
export interface AcpSettings extends AcpPresetSettings, AcpProgramSettings {
  /** The program, by its name on PATH or its file. */
  readonly command: string
}

const presetNames: Settings.Names<AcpPresetSettings> = {
  ...commonNames,
  ...{ mode: true, model: true, permissions: true, mcpServers: true, args: true },
}

/**
 * Any program that speaks the Agent Client Protocol.
 *
 * @example
 * import { AcpAgent } from "smithers-orchestrator/agents"
 *
 * const goose = AcpAgent({ command: "goose", args: ["acp"], state: ["~/.config/goose", "~/.local/share/goose"] })
 */
export const AcpAgent: Maker<AcpSettings> = maker<AcpSettings>(
  "AcpAgent",
  { ...presetNames, install: true, login: true, variables: true, state: true, hosts: true },
  (settings) => {
    const { command, install, login, variables = [], state = [], hosts = [] } = settings
    const program = {
      name: command.split("/").at(-1) ?? command,
      product: command,
      program: command,
      install,
      login,
      variables,
      hosts,
    }
    return Acp.make({ ...program, state: (home) => state.map((path) => path.replace(/^~(?=\/)/, home)) }, settings)
  },
)

/** A preset of a program that speaks the protocol, started with these arguments. */
const preset = (of: string, program: Acp.AcpProgram, args: ReadonlyArray<string>): Preset => {
  const dialect = (settings: AcpPresetSettings) => Acp.make(program, { ...settings, args: [...args, ...(settings.args ?? [])] })
  return { agent: maker(of, presetNames, dialect), dialect: dialect({}) }
}

interface Preset {
  readonly agent: OptionalMaker<AcpPresetSettings>
  readonly dialect: Dialect
}

const gemini = preset(
  "GeminiAgent",
  {
    ...{ name: "gemini", product: "Gemini CLI", program: "gemini", install: "npm install -g @google/gemini-cli", login: "gemini" },
    variables: [
      ...["GEMINI_API_KEY", "GOOGLE_API_KEY", "GOOGLE_GEMINI_BASE_URL", "GOOGLE_CLOUD_PROJECT", "GOOGLE_CLOUD_LOCATION"],
      ...["GOOGLE_GENAI_USE_VERTEXAI", "GOOGLE_GENAI_USE_GCA", "GOOGLE_APPLICATION_CREDENTIALS"],
    ],
    loginCheck: { kind: "handshake", args: ["--acp", "--skip-trust"] },
    state: (home) => [`${home}/.gemini`],
    hosts: [
      "generativelanguage.googleapis.com",
      "cloudcode-pa.googleapis.com",
      "oauth2.googleapis.com",
      "aiplatform.googleapis.com",
    ],
  },
  ["--acp", "--skip-trust"],
)

const openCode = preset(
  "OpenCodeAgent",
  {
    ...{
      name: "opencode",
      product: "OpenCode",
      program: "opencode",
      install: "npm install -g opencode-ai",
      login: "opencode auth login",
    },
    variables: ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY", "GROQ_API_KEY", "OPENCODE_CONFIG"],
    loginCheck: {
      kind: "command",
      args: ["auth", "list"],
      // It has models without a login, too: none is no failure.
      read: (_, text) => (/[1-9]\d* (?:credentials?|environment variables?)/.test(text) ? true : undefined),
    },
    keys: ["ANTHROPIC_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "OPENROUTER_API_KEY"],
    state: (home, env) =>
      [
        env.XDG_CONFIG_HOME ?? `${home}/.config`,
        env.XDG_DATA_HOME ?? `${home}/.local/share`,
        env.XDG_STATE_HOME ?? `${home}/.local/state`,
        env.XDG_CACHE_HOME ?? `${home}/.cache`,
      ].map((directory) => `${directory}/opencode`),
    hosts: ["opencode.ai", "models.dev", "api.anthropic.com", "api.openai.com", "registry.npmjs.org"],
  },
  ["acp"],
)

const kimi = preset(
  "KimiAgent",
  {
    ...{ name: "kimi", product: "Kimi CLI", program: "kimi", install: "uv tool install kimi-cli", login: "kimi login" },
    variables: ["KIMI_API_KEY", "KIMI_BASE_URL", "KIMI_MODEL_NAME", "MOONSHOT_API_KEY"],
    loginCheck: { kind: "handshake", args: ["acp"] },
    state: (home) => [`${home}/.kimi`],
    hosts: ["api.moonshot.ai", "api.moonshot.cn", "api.kimi.com"],
  },
  ["acp"],
)

/** Gemini CLI (`gemini --acp`). */
export const GeminiAgent: OptionalMaker<AcpPresetSettings> = gemini.agent

/** OpenCode (`opencode acp`). */
export const OpenCodeAgent: OptionalMaker<AcpPresetSettings> = openCode.agent

/** Kimi CLI (`kimi acp`). */
export const KimiAgent: OptionalMaker<AcpPresetSettings> = kimi.agent

/** Settings of {@link PiAgent}. */
export interface PiSettings extends CommonSettings, Pi.PiOptions {}

/** Pi (`pi -p --mode json`). */
export const PiAgent: OptionalMaker<PiSettings> = maker<PiSettings>(
  "PiAgent",
  { ...commonNames, provider: true, model: true, tools: true, args: true },
  Pi.make,
)

/** Settings of {@link CliAgent}. */
export interface CliSettings extends CommonSettings, Cli.CliOptions {
  readonly command: string
}

/**
 * Any program that takes a prompt and writes an answer.
 *
 * @example
 * import { CliAgent } from "smithers-orchestrator/agents"
 *
 * const summarizer = CliAgent({ command: "llm", args: ["--no-stream"], variables: ["OPENAI_API_KEY"] })
 */
export const CliAgent: Maker<CliSettings> = maker<CliSettings>(
  "CliAgent",
  {
    ...commonNames,
    ...{ args: true, prompt: true, output: true, onMessage: true, resumeArgs: true },
    ...{ install: true, login: true, variables: true, state: true, hosts: true },
  },
  Cli.make,
)

/** The programs that have agents of their own, by the names of these. */
export const dialects: ReadonlyArray<readonly [agent: string, dialect: Dialect]> = [
  ["ClaudeCodeAgent", Claude.make()],
  ["CodexAgent", Codex.make()],
  ["GeminiAgent", gemini.dialect],
  ["OpenCodeAgent", openCode.dialect],
  ["KimiAgent", kimi.dialect],
  ["PiAgent", Pi.make()],
]
