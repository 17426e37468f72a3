/**
 * Agents of a `LanguageModel` and a `Toolkit` of Effect AI (`@effect/ai`), which this subpath alone loads.
 */
export { type EffectAgentSettings, effectAgent, type ToolkitRules } from "@smithers/agents/effectAgent"
