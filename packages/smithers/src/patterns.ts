/**
 * Named patterns of agents, such as `ReviewLoop`, `Panel` and `EscalationChain`.
 */
export * from "@smithers/patterns"
