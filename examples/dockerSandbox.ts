/**
 * A provider of sandboxes of your own: commands run in a container of Docker, which has the files of the sandbox and no network. The files, the patch and its
 * application are those of the provider `local`.
 */
import { randomUUID } from "node:crypto"
import { Duration, Effect } from "effect"
import { commandRunner, type SandboxProvider, sandboxProvider } from "smithers-orchestrator"

/** Containers are the boundary, and the client of Docker runs as it is. */
const client = commandRunner("none")

/** Environment variables of the host that select the daemon. */
const { DOCKER_HOST } = process.env
const daemon = DOCKER_HOST === undefined ? {} : { DOCKER_HOST }

export const docker = (image: string): SandboxProvider =>
  sandboxProvider({
    name: "docker",
    limits: ["timeout", "memoryBytes", "cpuTime", "cpus", "maxProcesses"],
    commands: ({ directory, request }) => ({
      isolation: "docker",
      isBoundary: true,
      run: (argv, options) => {
        const { policy, memoryBytes, cpuTime, ...others } = options
        const { cpus } = request.limits ?? {}
        if (request.allowNetwork !== undefined) return Effect.dieMessage("this provider knows no list of hosts")
        const name = `smithers-${randomUUID()}`
        const args = [
          ...["--rm", "--interactive", "--init", "--name", name],
          // The same path inside: tools that work on files name it so.
          ...["--volume", `${directory}:${directory}`, "--workdir", policy.cwd ?? directory],
          ...["--network", "none", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"],
          ...["--user", `${process.getuid?.() ?? 0}:${process.getgid?.() ?? 0}`],
          ...(memoryBytes === undefined ? [] : ["--memory", String(memoryBytes)]),
          // Of each process; the kernel counts whole seconds.
          ...(cpuTime === undefined ? [] : ["--ulimit", `cpu=${Math.ceil(Duration.toSeconds(cpuTime))}`]),
          ...(cpus === undefined ? [] : ["--cpus", String(cpus)]),
          ...(policy.maxProcesses === undefined ? [] : ["--pids-limit", String(policy.maxProcesses)]),
          ...Object.keys(policy.env ?? {}).flatMap((variable) => ["--env", variable]),
        ]
        const remove = client.run(["docker", "rm", "--force", name], {
          policy: { root: directory, env: daemon },
          timeout: "10 seconds",
        })
        // The end of the client is not that of the container: after an interruption or a timeout it is removed.
        const run = client.run(["docker", "run", ...args, image, ...argv], {
          ...others,
          policy: { ...policy, env: { ...policy.env, ...daemon } },
        })
        return Effect.onError(run, () => Effect.ignore(remove))
      },
    }),
  })
