/** The mark of agents that record their replies themselves, in the conversation of the context. */
export const recordsItself: unique symbol = Symbol.for("@smithers/agents/recordsItself")
