/**
 * The errors of the reference, by where one meets them, each with what to do about it. What has happened is told by the docstring of its class.
 */
export const remedies: ReadonlyArray<{
  readonly where: string
  readonly module: string
  readonly errors: { readonly [name: string]: string }
}> = [
  {
    where: "Building and starting",
    module: "packages/core/src/Errors.ts",
    errors: {
      InvalidWorkflow: "Repair the part that `where` names. A run keeps all it has; resume it with the repaired code.",
      RenderFailed: "Repair the component at the top of the stack in `where`, then resume the run.",
      InvalidInput: "Correct the fields that `issues` name, and call again.",
      InvalidRunId: "Choose another id, or none for a generated one.",
      InvalidSetting: "Correct the option that `setting` names.",
      EffectMismatch: "Install one copy of the package that it names, in a version that the peer range allows.",
      RunNotFound: "List the runs of this store, or start one with this id. Check which database is open.",
      NoSuchAttempt: "Choose an attempt of `smithers node`. The message names those of the iteration.",
      NoSuchMoment: "Choose a frame of `smithers timeline`. The message names the last one.",
      InputMismatch: "Use another run id for another input, or resume the run with its own.",
      WorkflowMismatch: "Use another run id, or the workflow that the run was started with.",
      RunWaitsForItself: "Start the other run without waiting for it, or make it a child run.",
    },
  },
  {
    where: "Memory",
    module: "packages/core/src/Memory.ts",
    errors: { InvalidFact: "Store a shorter value, or one that is JSON. Put documents into files, and remember their paths." },
  },
  {
    where: "Command-line agents, as `CommandLineError`",
    module: "packages/agents/src/commandLine/Errors.ts",
    errors: {
      AgentNotInstalled:
        "Run the command that `install` names, or name the file of the program as `command`. `smithers agents` lists what is missing.",
      AgentNotLoggedIn: "Run the command that `login` names, then resume the run.",
      AgentFolderUntrusted: "Start the program there once by hand, and let it trust the folder.",
      AgentLimitReached: "Wait: the run goes on by itself at `resetAt`. Or give the step a second agent.",
      AgentRateLimited: "None, or a longer backoff: the next attempt waits for `retryAfterMs`.",
      AgentOverloaded: "None, or a longer backoff: the provider is busy.",
      AgentContextTooLong: "Give the step less to read, or split it: a new conversation was too long as well.",
      AgentSessionUnknown: "None: the next attempt begins a new conversation.",
      AgentSessionInUse: "End the other process of this conversation, or wait for it.",
      AgentStalled: "Read `tail`. Raise `idleTimeout` where the program works without saying so.",
      AgentTimedOut: "Raise `timeout`, or split the step.",
      AgentDied: "Read `tail`, and start the program by hand in the folder of the step.",
      AgentBadOutput: "Update the program: it breaks its own format.",
      AgentStopped: "Raise `maxTurns` or `maxBudgetUsd`, whichever `reason` names.",
      AgentRequestRefused: "Correct the option, model or input that the program does not take.",
    },
  },
  {
    where: "Tools of agents",
    module: "packages/agents/src/ConfinedFiles.ts",
    errors: {
      PathRefused: "None: the model is told. Widen the `root` or the `hidden` paths of the runtime where the path is meant.",
    },
  },
  {
    where: "Servers of tools",
    module: "packages/agents/src/McpServer.ts",
    errors: {
      McpServerFailed: "Start the command of the server by hand, or check its address and key. `problem` has its last words.",
    },
  },
  {
    where: "Agents that repeat themselves",
    module: "packages/agents/src/DoomLoop.ts",
    errors: {
      AgentStalled:
        "Change the instructions or the tools. A tool that is meant to be repeated declares `isPolling` or a `loopKey`.",
    },
  },
  {
    where: "Scores",
    module: "packages/core/src/Scores.ts",
    errors: { InvalidScore: "Return a number from 0 to 1, or `{ score, reason }`, within the `timeout` of the scorer." },
  },
  {
    where: "The end of a run",
    module: "packages/core/src/Errors.ts",
    errors: {
      StepFailed: "Look at `error`. Repair the cause and resume the run: finished steps are kept.",
      StepTimedOut: "Raise the limit, or make the step faster, and resume the run. A long step reports progress by `heartbeat`.",
      LoopLimitReached: 'Raise `maxIterations`, or set `onMaxReached: "return-last"`, and resume the run.',
      EndlessPass: "Give the tasks of a loop ids that stay the same in each pass, and resume the run.",
      UnsettledRead: "Mount a task that gives the output, or read it with `ctx.outputMaybe`. Then resume the run.",
      RunTimedOut:
        "Resume the run with a later deadline: `workflow.resume(runId, { deadline })` or `up --resume <run> --deadline 2h`.",
      CompensationFailed: "Undo by hand what `failed` names. `cause` is the failure that began it.",
      CrashLoop: "Find out in the log of the process why it dies. Repair that, then resume the run.",
      RunCancelled: "Nothing, if the cancellation was meant. `up --uncancel` or `workflow.resume` takes it back.",
      RunFenced: "Nothing: another process works on the run now. Make sure that no process is stopped for longer than its lease.",
      RunEnded: "Resume a failed or cancelled run first; a finished run takes no commands.",
      RunDefect: "Report it with the error that it names. The run can be resumed.",
      ReloadRefused:
        "Mend what it names and save again. For `restart`, stop the run and resume it; for `incompatible`, resume it with `onIncompatible`.",
      IncompatibleOutput: 'Make the schema accept what is stored, or resume with `onIncompatible: "rerun"`.',
      IncompatibleTable: "Give the step or the output another name, or a type that the column can hold.",
    },
  },
  {
    where: "Waits and regions",
    module: "packages/core/src/Errors.ts",
    errors: {
      ApprovalDenied: "Retry the node to ask again. After a timeout, resuming the run asks again.",
      WaitTimedOut: "Resume the run: it waits again.",
      ScopeTimedOut: "Raise its `timeout`, and resume the run.",
      RaceLost: "Repair the branches, and resume the run.",
      ListStillOpen: "Set `more` to false once all items are there, and resume the run.",
    },
  },
  {
    where: "Inside a step, as the error of its StepFailed",
    module: "packages/core/src/Errors.ts",
    errors: {
      NonRetryable: "Raise it from a step to fail at once. Repair its cause, then resume the run.",
      InvalidOutput: "Make `run` return what the schema accepts; `issues` name the fields.",
      InvalidError: "Make the declared schema encode the error; `issues` name the fields.",
      MissingNeed: "Let the needed loop make a pass, or take the need with `$.maybe`.",
      InvalidRequest: "Make the function of the wait return what it must: a title, names, a time, a workflow.",
      UnknownLimit: "Configure the limit in `limits` of the runtime, or correct its name.",
      InvalidLimit: "Make the function of `limit` return the name of a limit, or `{ name, key }`.",
      InvalidTimeout: "Make the function of `timeout` return a duration.",
      InvalidCondition: "Return a plain value. Put asynchronous work into a step, and use its output.",
      UnknownCase: "Add the case, or an `otherwise`.",
      InvalidDelay: "Make the `Schedule` give a finite delay.",
      AgentFailed: "Look at `failures`: a wrong key, an unknown model, a busy provider.",
      TooManyItems: "Make fewer items, or raise `maxItems` of the list and resume the run.",
      ChildRunsTooDeep: "End the recursion, or raise `maxDepth` of the node and resume the run.",
      BudgetExceeded: 'Raise the limit of the budget that it names and resume the run, or let it ask: `onReached: "ask"`.',
      ToolRightsExceeded: "Narrow the option that `option` names, or widen `tools` of the runtime.",
      NoAgentRunner: "Provide `Smithers.sqlite`, `Smithers.memory`, or `AgentProgram.layer` beside another store.",
    },
  },
  {
    where: "Commands",
    module: "packages/core/src/Errors.ts",
    errors: {
      NotWaiting: "Look at `open` for what the run waits for.",
      WaitExpired: "Nothing: `onTimeout` of the wait holds. To ask again, retry the node.",
      AlreadyDecided: "Nothing: the first decision counts. To decide again, retry the node.",
      AlreadyLeft: "Nothing: the first request counts.",
      NodeEnded: "Nothing: the node is over. Retry it to run it again.",
      RequestChanged: "Look at the current request, and decide on that one.",
      NotAnApprover: "Let one of `approvers` decide.",
      SignalIdTaken: "Send the other signal under an id of its own.",
      EventIdTaken: "Publish the other event under an id of its own.",
      NoSuchSchedule: "List the schedules, or add one with this id.",
      ScheduleIdTaken: "Choose another id, or replace the schedule.",
      ScheduleBusy: "Wait for the end of `runId`, cancel it, or choose another overlap policy.",
      InvalidAnswer: "Correct what `issues` name, and answer again.",
      NodeNotFound: "Choose a node or iteration of `known`.",
      InvalidCommand: "Correct what `problem` says.",
      RunIdTaken: "Choose another id for the new run, or leave it out.",
      InvalidFork: "Correct what `problem` says. `dryRun` shows what a fork would keep.",
      RevertRefused: "Do as `cure` says, and revert again. `dryRun` shows what would be done.",
      RevertUnfinished:
        "Mend what `problem` names, such as a full disk, and resume the run: the revert is completed or taken back first.",
      StaleFrame: "Nothing: the engine handles it.",
    },
  },
  {
    where: "Stores",
    module: "packages/core/src/Errors.ts",
    errors: {
      StoreBusy: "Wait, or end the process that `users` names and that is stopped in the middle of a write.",
      StoreFull: "Free space on the disk. Runs continue by themselves.",
      StoreCorrupt: "Restore a copy. `smithers db check` says what is damaged.",
      StoreReadOnly: 'Make the file and its folder writable, or open it with `access: "read"`.',
      StoreRemoved: "Put the file back, or start again on the new one. Nothing of the lost file can be resumed.",
      StoreMissing: 'Check the path, or open the store with `access: "create"`.',
      StoreUnsupported: "Run on Bun, or on Node 22.20 or later. `Smithers.memory` works everywhere.",
      StoreTooNew: "Update the package of this process.",
      StoreTooOld: "Use the version that wrote the file, or a new file.",
      StoreInUse: "Stop the processes of the older version that it names, then open the store again.",
      StoreRefused: "Make the output smaller, or store it elsewhere and return a reference.",
      StoreFailed: "Look at its cause.",
    },
  },
  {
    where: "Transactions in the database of a run",
    module: "packages/core/src/Transaction.ts",
    errors: {
      NotSynchronous: "Do what waits in a step before.",
      StatementRefused: "Leave the statement out; the message says why it is refused.",
      TransactionBroken: "Use statements that do not end the transaction by themselves.",
      TransactionTooLong: "Do less in one transaction, or raise `limit` (at most 10 seconds).",
      TransactionTaken: "Give the second transaction of the step a `name`.",
      StaleAttempt: "Nothing: a later attempt does the work.",
      NotInStep: "Call `Sql.transaction` with the context of a step or a task.",
      NoSqlStore: 'Use `Smithers.sqlite`, in tests with `filename: ":memory:"`.',
    },
  },
  {
    where: "Typed reads of tables",
    module: "packages/sqlite/src/internal/sqlRows.ts",
    errors: {
      NoSuchOutput: "Use the id of a step, or the key of an output.",
      UnreadableRow: "Make the schema accept what is stored, or read the table by SQL.",
    },
  },
  {
    where: "Components",
    module: "packages/jsx/src/Ctx.ts",
    errors: { MissingOutput: "Wait for the task by `deps`, or read with `ctx.outputMaybe`." },
  },
  {
    where: "Prompts",
    module: "packages/jsx/src/PromptInput.ts",
    errors: { PromptInputError: "Pass the prop as the frontmatter of the file declares it." },
  },
  {
    where: "Prompts",
    module: "packages/jsx/src/Mdx.ts",
    errors: { PromptSyntaxError: "Repair the file at the line that it names." },
  },
  {
    where: "Isolation of commands",
    module: "packages/core/src/Isolation.ts",
    errors: {
      InvalidPolicy: "Correct the policy as the message says.",
      IsolationUnavailable: "Install what the message names, or choose another isolation.",
    },
  },
  {
    where: "Worktrees",
    module: "packages/core/src/Worktrees.ts",
    errors: {
      WorktreeFailed: "Do what `problem` says, and resume the run.",
    },
  },
  {
    where: "Sandboxes",
    module: "packages/core/src/Sandboxes.ts",
    errors: {
      SandboxFailed: "Do what `problem` says, and resume the run. If its files were lost, start the run again.",
      PatchConflict:
        "Bring the files that `paths` names back, and retry the node `<id>~apply`; or apply the patch by hand with `git apply`.",
    },
  },
  {
    where: "Files of tasks",
    module: "packages/core/src/Workspaces.ts",
    errors: {
      NoGit: "Install git, or switch snapshots off.",
      WorkspaceFailed: "Do as the message says, then repeat the command.",
      SnapshotMissing: "Choose another snapshot: `smithers timeline` lists them.",
      RestoreRefused: "Move the files that it names away, or repeat the command with `--force`.",
      RestoreIncomplete: "Remove its cause, then restore again; or restore `safety`.",
    },
  },
  {
    where: "Tests",
    module: "packages/testing/src/TestRuntime.ts",
    errors: { WaitNotReached: "Look at the timeline of the run: it ended, or waits for something else." },
  },
  {
    where: "Tests",
    module: "packages/testing/src/scriptedAgent.ts",
    errors: { ScriptLeftOver: "Remove the replies that are left, or find out why the agent was asked less often." },
  },
  {
    where: "Tests",
    module: "packages/testing/src/Crashes.ts",
    errors: {
      NotIdempotent: "Make the steps that it names idempotent, by `idempotencyKey` or a transaction.",
      NotReproducible: "Take time and randomness from Effect's services, so that two runs give the same result.",
    },
  },
  {
    where: "Tests",
    module: "packages/testing/src/Simulation.ts",
    errors: { SimulationFailed: "Run the `seed` that it names again, and look at `problem`." },
  },
  {
    where: "Tests",
    module: "packages/testing/src/Replays.ts",
    errors: {
      RunsChanged: "Look at each place that it names: take the edit back, or delete the runs that may be another now.",
      NoRecordedRun: "Name the database that has the runs, or check their ids.",
    },
  },
  {
    where: "The command line",
    module: "packages/cli/src/Errors.ts",
    errors: {
      InvalidUsage: "See `smithers <command> --help`.",
      InvalidJson: "Correct the JSON, or pass it as `@file`.",
      InvalidWorkflowFile: "Repair the file; the message names the place.",
      NoSuchRun: "List the runs with `smithers ps`.",
      AmbiguousRun: "Type more of the id.",
      NoSuchNode: "Choose one of the nodes that `smithers inspect` shows.",
      NoSuchFact: "Choose one that `smithers memory list` shows.",
      NoOutput: "Wait for the node, or look at `smithers node`.",
      NoSource: "Name the workflow's file: `smithers up file.ts --resume true --run-id <run>`.",
      SeveralWaits: "Name one with `--node` and `--iteration`.",
      NoDatabase: "Name the database with `--db` or `SMITHERS_DB`.",
      ForeignDatabase: "Name the database with `--db`, if you trust its owner.",
      UnknownStore: "Use a file, or `sqlite:<file>`.",
      CannotWrite: "Make the place writable, or choose another.",
      OutputFailed: "Free space where the output is written to.",
      CannotLaunch: "Look at the reason in the message.",
      DetachedEnded: "Look at the log file that it names.",
      Interrupted: "Resume the run.",
      Uncaught: "Repair the code at the place that it names, then resume the run.",
    },
  },
  {
    where: "The server",
    module: "packages/server/src/operations/Errors.ts",
    errors: {
      StaleRequest: "Look at `current`, the request that is open now, and decide with its id and digest.",
      Forbidden: "Use a token with the scope: `smithers token add <name> --scope <scope>`.",
      OwnRequest: "Leave the decision to a person.",
      RunWasCancelled: "Revert the cancellation on the command line, or fork the run.",
      CommandFailed: "Look at `problem`, and at the remedy of its `tag`.",
      CannotWork: "Resume the run by hand with `smithers up --resume <run>`, which says more.",
    },
  },
  {
    where: "The server",
    module: "packages/server/src/mcp/Person.ts",
    errors: {
      PersonNeeded: "Let the person run the command that the message names, or use a client that can ask.",
      PersonDeclined: "Nothing: the person has not confirmed. Ask again only if the person wants it.",
    },
  },
  {
    where: "The server",
    module: "packages/server/src/http/Tokens.ts",
    errors: {
      TokenNameTaken: "Remove that token, or choose another name.",
      NoSuchToken: "Choose one that `smithers token list` shows.",
    },
  },
  {
    where: "The server",
    module: "packages/server/src/http/OwnFile.ts",
    errors: { UnsafeToken: "Make the file your own with mode 0600, or delete it; a new one is written when it is needed." },
  },
  {
    where: "The server",
    module: "packages/server/src/http/Hooks.ts",
    errors: {
      HookExists: "Remove the hook for a new secret, or use the one that it has.",
      NoSuchHook: "Choose one that `smithers hook list` shows.",
    },
  },
  {
    where: "The server",
    module: "packages/server/src/http/Listen.ts",
    errors: { CannotListen: "Choose another `--port`, or end the program that listens there." },
  },
]
