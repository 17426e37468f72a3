/**
 * Scorers as Smithers 0.x makes them, for `<Task scorers={{ name: { scorer } }}>`. A judge is asked like any scorer that is an agent: its conversation is stored, costs
 * are counted, and its reply is checked.
 */
export {
  createScorer,
  faithfulnessScorer,
  type Judge,
  type JudgeConfig as LlmJudgeConfig,
  latencyScorer,
  llmJudge,
  relevancyScorer,
  type SamplingConfig,
  type ScoreResult,
  type Scorer,
  type ScorerBinding,
  type ScorerConfig as CreateScorerConfig,
  type ScorerFn,
  type ScorerInput,
  type ScorersMap,
  schemaAdherenceScorer,
  toxicityScorer,
} from "@smithers/jsx/CompatibleScorers"
