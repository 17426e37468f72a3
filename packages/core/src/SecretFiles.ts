/**
 * Files that hold keys and logins, by their names: no snapshot saves one, and no sandbox sees one.
 */

const names =
  /^(\.env.*|\.netrc|\.npmrc|\.pypirc|\.pgpass|\.htpasswd|\.git-credentials|id_(rsa|dsa|ecdsa|ed25519)(_sk)?|.+\.(pem|key|p12|pfx|jks|keystore|kdbx|ppk|token))$/i

/** Of these, the ones that show what the others look like. */
const harmless = /^\.env\.(example|sample|template|dist)$/i

const directories: ReadonlySet<string> = new Set([".ssh", ".aws", ".gnupg", ".kube", ".docker"])

/** `true` of a path whose name, or a directory of which, is one of secrets. */
export const isSecretFile = (path: string): boolean => {
  const parts = path.split("/")
  const name = parts.at(-1) ?? ""
  return (names.test(name) && !harmless.test(name)) || parts.some((one) => directories.has(one.toLowerCase()))
}
