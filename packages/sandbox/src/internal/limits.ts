/**
 * Limits that the kernel holds a command to, set by the shell that becomes it.
 */
import { defaultMaxFileBytes, defaultMaxProcesses, type Policy } from "@smithers/core/Isolation"

/** Bytes of the blocks in which a shell counts the size of files. */
const blockBytes = 512

/** Lines of a shell that set the limits of a policy, and become the command that is in its arguments. */
export const limitsOf = ({ maxProcesses = defaultMaxProcesses, maxFileBytes = defaultMaxFileBytes }: Policy): string =>
  [
    `ulimit -f ${Math.ceil(maxFileBytes / blockBytes)}`,
    `if command -v prlimit >/dev/null; then exec prlimit --nproc=${maxProcesses} --core=0 -- "$@"; fi; exec "$@"`,
  ].join("\n")
