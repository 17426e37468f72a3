/**
 * A map of which each change makes a new version, and all versions stay readable. The newest version has a native map; an earlier one
 * has the change that leads to the next. So work on the newest costs as much as on a native map, which hashes texts natively: with
 * the hash trie of `effect` half of the time to fold an event went into hashing keys. After Baker, "Shallow binding makes functional
 * arrays fast" (1991).
 *
 * An earlier version that is read often, or changed, copies the map first. Versions that nobody holds are collected.
 */

/** Most versions that a read looks back through before its version gets a map of its own. */
const farthest = 32

/**
 * Fewest changes after which the newest version gets a map of its own, and leaves the one it had to the versions before. A version that
 * somebody holds, such as an attempt that takes hours, would otherwise keep all that has changed since.
 */
const fewestChanges = 1024

/** A version. No value may be `undefined`. */
export class PersistentMap<K, V> {
  /** Number of keys. */
  readonly size: number
  /** The map, of the newest version only. */
  private entries: Map<K, V> | undefined
  /** The change that leads to `next`: `key` had the value `before`, or none. */
  private key: K | undefined
  private before: V | undefined
  private next: PersistentMap<K, V> | undefined
  /** Number of changes that its map has had. */
  private readonly changes: number

  private constructor(entries: Map<K, V>, changes = 0) {
    this.entries = entries
    this.changes = changes
    this.size = entries.size
    this.key = undefined
    this.before = undefined
    this.next = undefined
  }

  /** Makes a map without keys. */
  static empty<K, V>(): PersistentMap<K, V> {
    return new PersistentMap(new Map())
  }

  /** Makes a map of entries. */
  static of<K, V>(entries: Iterable<readonly [K, V]>): PersistentMap<K, V> {
    return new PersistentMap(new Map(entries))
  }

  get(key: K): V | undefined {
    let version: PersistentMap<K, V> = this
    for (let steps = 0; version.next !== undefined; steps++) {
      if (version.key === key) return version.before
      if (steps === farthest) return this.own().get(key)
      version = version.next
    }
    return version.own().get(key)
  }

  has(key: K): boolean {
    return this.get(key) !== undefined
  }

  /** Returns the version with another value. */
  set(key: K, value: V): PersistentMap<K, V> {
    const entries = this.own()
    const before = entries.get(key)
    if (before === value) return this
    if (this.isWorn(entries)) return new PersistentMap(new Map(entries).set(key, value))
    entries.set(key, value)
    return this.become(entries, key, before)
  }

  /** Returns the version without a key. */
  remove(key: K): PersistentMap<K, V> {
    const entries = this.own()
    const before = entries.get(key)
    if (before === undefined) return this
    if (this.isWorn(entries)) return PersistentMap.of([...entries].filter(([other]) => other !== key))
    entries.delete(key)
    return this.become(entries, key, before)
  }

  /** Returns a version with the entries that a predicate holds for. */
  filter(predicate: (value: V, key: K) => boolean): PersistentMap<K, V> {
    return PersistentMap.of([...this.own()].filter(([key, value]) => predicate(value, key)))
  }

  /** The keys, values and pairs of this version, in no particular order. Changes meanwhile do not show. */
  keys(): ReadonlyArray<K> {
    return [...this.own().keys()]
  }
  values(): ReadonlyArray<V> {
    return [...this.own().values()]
  }
  [Symbol.iterator](): Iterator<[K, V]> {
    return [...this.own()].values()
  }

  toJSON(): ReadonlyArray<readonly [K, V]> {
    return [...this]
  }

  /** The map of this version, which is copied from the newest if this is an earlier one. */
  private own(): Map<K, V> {
    if (this.entries !== undefined) return this.entries
    const changes: Array<PersistentMap<K, V>> = []
    let version: PersistentMap<K, V> = this
    for (; version.next !== undefined; version = version.next) changes.push(version)
    const copy = new Map(version.entries)
    for (const { key, before } of changes.reverse()) {
      if (before === undefined) copy.delete(key as K)
      else copy.set(key as K, before)
    }
    this.entries = copy
    this.key = undefined
    this.before = undefined
    this.next = undefined
    return copy
  }

  /** Tells whether the next version gets a map of its own: a copy costs as much as the changes since the last. */
  private isWorn(entries: Map<K, V>): boolean {
    return this.changes >= Math.max(fewestChanges, entries.size)
  }

  /** Hands the map, in which `key` was changed, to the next version. */
  private become(entries: Map<K, V>, key: K, before: V | undefined): PersistentMap<K, V> {
    const next = new PersistentMap(entries, this.changes + 1)
    this.entries = undefined
    this.key = key
    this.before = before
    this.next = next
    return next
  }
}
