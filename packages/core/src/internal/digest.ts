/**
 * SHA-256, synchronous and on every platform: Web Crypto is asynchronous, and the walk of a plan never waits. Digests must
 * resist deliberate collisions, since agents and callers choose the requests, ids and inputs.
 */

/** The first 32 bits of the fractional part of a root: the constants of the standard. */
const fraction = (root: number): number => ((root - Math.floor(root)) * 2 ** 32) | 0

const isPrime = (number: number): boolean => {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return false
  return true
}

/** The first 64. */
const primes: Array<number> = []
for (let number = 2; primes.length < 64; number++) if (isPrime(number)) primes.push(number)

const roundConstants = Int32Array.from(primes, (prime) => fraction(Math.cbrt(prime)))
const initial = Int32Array.from(primes.slice(0, 8), (prime) => fraction(Math.sqrt(prime)))

const blockSize = 64
const encoder = new TextEncoder()
const words = new Int32Array(64)

const rotate = (word: number, bits: number): number => (word >>> bits) | (word << (32 - bits))

/** Processes one block of 64 bytes. */
const absorb = (hash: Int32Array, bytes: DataView, offset: number): void => {
  for (let index = 0; index < 16; index++) words[index] = bytes.getInt32(offset + index * 4)
  for (let index = 16; index < 64; index++) {
    const before = words[index - 15] ?? 0
    const last = words[index - 2] ?? 0
    const low = rotate(before, 7) ^ rotate(before, 18) ^ (before >>> 3)
    const high = rotate(last, 17) ^ rotate(last, 19) ^ (last >>> 10)
    words[index] = ((words[index - 16] ?? 0) + low + (words[index - 7] ?? 0) + high) | 0
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = hash
  for (let index = 0; index < 64; index++) {
    const choice = (e & f) ^ (~e & g)
    const sum = rotate(e, 6) ^ rotate(e, 11) ^ rotate(e, 25)
    const first = (h + sum + choice + (roundConstants[index] ?? 0) + (words[index] ?? 0)) | 0
    const majority = (a & b) ^ (a & c) ^ (b & c)
    const second = ((rotate(a, 2) ^ rotate(a, 13) ^ rotate(a, 22)) + majority) | 0
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + second) | 0
  }
  for (const [index, word] of [a, b, c, d, e, f, g, h].entries()) hash[index] = ((hash[index] ?? 0) + word) | 0
}

/** The SHA-256 of a text in UTF-8, as 64 hexadecimal digits. Halves of surrogate pairs are all the same: ids and JSON have none. */
export const digest = (text: string): string => {
  const bytes = encoder.encode(text)
  const hash = Int32Array.from(initial)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const whole = bytes.length - (bytes.length % blockSize)
  for (let offset = 0; offset < whole; offset += blockSize) absorb(hash, view, offset)
  // The rest, a single bit, and the length in bits fill one or two more blocks.
  const rest = bytes.subarray(whole)
  const last = new Uint8Array(rest.length + 9 > blockSize ? 2 * blockSize : blockSize)
  last.set(rest)
  last[rest.length] = 0x80
  const end = new DataView(last.buffer)
  end.setBigUint64(last.length - 8, BigInt(bytes.length) * 8n)
  for (let offset = 0; offset < last.length; offset += blockSize) absorb(hash, end, offset)
  return Array.from(hash, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("")
}
