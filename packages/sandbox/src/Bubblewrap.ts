/**
 * Isolation by bubblewrap, on Linux: namespaces of its own for processes, files, network, users and names. A command sees system directories, the
 * directories of its `PATH`, and what its policy lists; it has no capabilities, a private `/tmp`, `/run` and `HOME`, and only the variables of its policy.
 * The end of bubblewrap ends every process of the command, also after a SIGKILL of this process.
 */
import { execFile } from "node:child_process"
import { existsSync } from "node:fs"
import { defaultMaxProcesses, type Isolated, Isolation, IsolationUnavailable, type Policy } from "@smithers/core/Isolation"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as DomainProxy from "./DomainProxy.ts"
import { environmentOf, pathDirectories } from "./internal/environment.ts"
import * as Groups from "./internal/groups.ts"
import { limitsOf } from "./internal/limits.ts"
import { isWithin, type Resolved, resolvePolicy } from "./internal/paths.ts"
import * as Repositories from "./internal/repositories.ts"

/** The name by which this isolation is chosen. */
export const name = "bubblewrap"

/** Bytes of `/tmp` and of the other private directories, each: they are memory of the machine. */
const privateBytes = 1024 * 1024 * 1024

/** Directories of the system that each command may read, where they exist. */
export const systemDirectories = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/nix/store"]

/** Files below `/etc` that programs need. The rest holds keys, hashes of passwords and addresses. */
export const systemFiles = [
  ...["alternatives", "ca-certificates", "ca-certificates.conf", "crypto-policies", "fonts", "group", "host.conf", "hosts"],
  ...["java", "ld.so.cache", "ld.so.conf", "ld.so.conf.d", "locale.alias", "localtime", "login.defs", "magic", "mime.types"],
  ...[
    "nsswitch.conf",
    "os-release",
    "passwd",
    "pki",
    "profile",
    "protocols",
    "resolv.conf",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
  ],
  ...["terminfo", "timezone", "python3", "perl", "gitconfig"],
].map((file) => `/etc/${file}`)

/** Parts of `/proc` that are of the machine, and not of a process. */
const machineSettings = ["sys", "sysrq-trigger", "irq", "bus", "fs", "acpi", "scsi", "driver"].map((part) => `/proc/${part}`)

/** The home of a command: in its private `/tmp`, and empty. */
const home = "/tmp/home"

/** The file descriptor on which bubblewrap reports. */
const statusFd = 3

const flags = [
  ...["--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try"],
  // The command gets no terminal of ours, no namespaces of its own, and no rights but those of an ordinary user.
  ...["--new-session", "--disable-userns", "--cap-drop", "ALL", "--die-with-parent", "--hostname", "sandbox"],
  ...["--json-status-fd", String(statusFd)],
]

/** Options that bind paths to themselves. */
const bind = (option: "--bind" | "--ro-bind", paths: ReadonlyArray<string>): ReadonlyArray<string> =>
  paths.flatMap((path) => [option, path, path])

/**
 * The mounts of a policy. bubblewrap carries them out in order, and a later one covers an earlier one: masks come last.
 */
const mounts = (resolved: Resolved, path: string, work: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { readable, writable, hidden, git } = resolved
  const system = systemDirectories.filter((directory) => existsSync(directory))
  // A directory that is a link, such as /bin, is shown as what it leads to.
  const tools = pathDirectories(path).filter((directory) => !system.some((shown) => isWithin(shown, directory)))
  return [
    ...bind("--ro-bind", system),
    ...bind(
      "--ro-bind",
      systemFiles.filter((file) => existsSync(file)),
    ),
    ...["--proc", "/proc", "--dev", "/dev"],
    // Settings of the machine stay writable for root, also in namespaces of its own, unless they are mounted read-only.
    ...bind(
      "--ro-bind",
      machineSettings.filter((path) => existsSync(path)),
    ),
    ...["/tmp", "/run", "/var/tmp", "/dev/shm"].flatMap((directory) => ["--size", String(privateBytes), "--tmpfs", directory]),
    ...["--dir", home],
    ...bind("--ro-bind", tools),
    ...bind("--ro-bind", readable),
    ...bind("--ro-bind", git),
    ...bind("--bind", writable),
    ...work,
    ...hidden.flatMap(({ path: covered, isDirectory }) =>
      isDirectory ? ["--size", "4096", "--tmpfs", covered, "--remount-ro", covered] : ["--ro-bind", "/dev/null", covered],
    ),
  ]
}

/** The first of the file descriptors that bubblewrap inherits, after that of its report. */
const firstInherited = statusFd + 1

/**
 * The mounts of the root. Repositories in it are read only, and the directories above them are mounts of their own, which cannot be moved. Mounts are made by
 * descriptors, so that no link that another command makes meanwhile is followed; bubblewrap before 0.8.0-2+deb12u1 and 0.10 knows paths only.
 */
const workMounts = (root: string, isReadOnly: boolean, takesDescriptors: boolean) =>
  Effect.gen(function* () {
    const found = isReadOnly ? [] : yield* Repositories.find(root)
    if (!takesDescriptors)
      return {
        inherited: [],
        args: [
          ...bind(isReadOnly ? "--ro-bind" : "--bind", [root]),
          ...found.flatMap((path) => ["--ro-bind-try", `${root}/${path}`, `${root}/${path}`]),
        ],
      }
    const held = yield* Repositories.hold(root, found)
    return {
      inherited: held.map(({ fd }) => fd),
      args: held.flatMap(({ path, isProtected }, index) => [
        isReadOnly || isProtected ? "--ro-bind-fd" : "--bind-fd",
        String(firstInherited + index),
        path,
      ]),
    }
  })

/** The socket of the proxy inside, and the port on which the command reaches it. */
const proxySocket = "/run/smithers-proxy.sock"
const proxyPort = 3128

/**
 * Starts a command in place of the shell that sets up what it needs: its limits, and the way to the proxy. The kernel counts no processes of root
 * by such a limit: then a control group holds them, or where there is none the runner of commands counts them.
 */
const prologue = (policy: Policy, hasProxy: boolean): string =>
  [
    ...(hasProxy
      ? [
          `socat TCP-LISTEN:${proxyPort},bind=127.0.0.1,fork,reuseaddr UNIX-CONNECT:${proxySocket} &`,
          // Until it listens. /proc/net/tcp names port 3128 as 0C38.
          `i=0; while [ $i -lt 200 ] && ! grep -q ':0C38 ' /proc/net/tcp; do sleep 0.01; i=$((i+1)); done`,
        ]
      : []),
    limitsOf(policy),
  ].join("\n")

const proxied: { readonly [variable: string]: string } = Object.fromEntries(
  ["http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"].map((variable) => [
    variable,
    `http://127.0.0.1:${proxyPort}`,
  ]),
)

const unavailable = (problem: string, install?: string) =>
  new IsolationUnavailable({ isolation: name, problem, ...(install === undefined ? {} : { install }) })

const installLine = (what: string): string => `Install it: apt-get install ${what}, dnf install ${what} or apk add ${what}.`

/** Finds a program on the search path of this process. */
const find = (program: string): string | undefined =>
  pathDirectories(process.env.PATH ?? "")
    .map((directory) => `${directory}/${program}`)
    .find((file) => existsSync(file))

/** Runs a program that does nothing, with these options. Succeeds with what went wrong, where something did. */
const attempt = (program: string, options: ReadonlyArray<string>): Effect.Effect<string | undefined> =>
  Effect.async((resume) => {
    execFile(program, [...options, "true"], { timeout: 10_000 }, (error, _, stderr) =>
      resume(Effect.succeed(error === null ? undefined : stderr.trim() || error.message)),
    )
  })

/** A namespace of processes alone: files, network and rights are those of this process. */
const ownProcessesFlags = ["--unshare-pid", "--die-with-parent", "--new-session", "--dev-bind", "/", "/", "--proc", "/proc"]

/**
 * Starts a command in a namespace of processes, whose end is the end of all of them, and with no other isolation. `undefined` where the machine has no
 * such namespaces.
 */
export const inOwnProcesses: Effect.Effect<((argv: Isolated["argv"]) => Pick<Isolated, "argv" | "statusFd">) | undefined> =
  Effect.runSync(
    Effect.cached(
      Effect.gen(function* () {
        const program = process.platform === "linux" ? find("bwrap") : undefined
        if (program === undefined || (yield* attempt(program, ownProcessesFlags)) !== undefined) return undefined
        return (argv: Isolated["argv"]) => ({
          argv: [program, ...ownProcessesFlags, "--json-status-fd", String(statusFd), "--", ...argv] as const,
          statusFd,
        })
      }),
    ),
  )

/** `true` if bubblewrap mounts open files. */
const knowsDescriptors = (program: string): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    execFile(program, ["--help"], { timeout: 10_000 }, (_, stdout, stderr) =>
      resume(Effect.succeed(`${stdout}${stderr}`.includes("--ro-bind-fd"))),
    )
  })

/** Tries the namespaces that commands get, once: some machines and containers refuse them. */
const probe: Effect.Effect<string, IsolationUnavailable> = Effect.gen(function* () {
  if (process.platform !== "linux") return yield* unavailable("it is for Linux, and this is another system")
  const program = find("bwrap")
  if (program === undefined) return yield* unavailable("bubblewrap (bwrap) is not installed", installLine("bubblewrap"))
  const args = [...flags.filter((flag) => flag !== "--json-status-fd" && flag !== String(statusFd)), "--unshare-net"]
  const failure = yield* attempt(program, [...args, "--ro-bind", "/", "/"])
  if (failure === undefined) return program
  return yield* unavailable(
    `this machine or its container refuses namespaces ("${failure.split("\n")[0]}")`,
    "Containers and some systems refuse them by default. On Ubuntu: sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or a profile of AppArmor for bwrap. In Docker: --security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt systempaths=unconfined --cap-add SYS_ADMIN.",
  )
})

/** Isolates commands by bubblewrap. Building the layer fails with `IsolationUnavailable` where this machine cannot. */
export const layer: Layer.Layer<Isolation, IsolationUnavailable> = Layer.effect(
  Isolation,
  Effect.gen(function* () {
    const program = yield* probe
    const takesDescriptors = yield* knowsDescriptors(program)
    return {
      name,
      isBoundary: true,
      prepare: Effect.fn("Isolation.prepare")(function* (policy, argv) {
        const resolved = yield* resolvePolicy(policy)
        const network = policy.network ?? "none"
        const hosts = typeof network === "string" ? undefined : network
        const hasProxy = hosts !== undefined && hosts.length > 0
        if (hasProxy && find("socat") === undefined)
          return yield* unavailable("a list of hosts needs socat, which is not installed", installLine("socat"))
        const env = yield* environmentOf(policy, { HOME: home, TMPDIR: "/tmp", ...(hasProxy ? proxied : {}) })
        const proxy = hasProxy ? yield* DomainProxy.listen(hosts) : undefined
        const work = yield* workMounts(resolved.root, policy.isReadOnly === true, takesDescriptors)
        const maxProcesses = policy.maxProcesses ?? defaultMaxProcesses
        // The processes of the proxy's way are of the command too.
        const group = yield* Groups.acquire(maxProcesses + Groups.overhead)
        return {
          argv: Groups.within(group, [
            program,
            ...flags,
            ...(network === "all" ? [] : ["--unshare-net"]),
            ...mounts(resolved, env.PATH ?? "", work.args),
            ...(proxy === undefined ? [] : ["--bind", proxy.socket, proxySocket]),
            ...["--chdir", resolved.cwd, "--", "/bin/sh", "-c", prologue(policy, hasProxy), "sh"],
            ...argv,
          ]),
          // Variables go by the environment: other users of the machine can read a command line.
          env,
          cwd: "/",
          containment: "namespace",
          statusFd,
          inherited: work.inherited,
          group,
        }
      }),
    }
  }),
)
