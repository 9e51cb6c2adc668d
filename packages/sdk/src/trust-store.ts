/**
 * Where a client keeps what it once trusted, as ssh keeps the keys of hosts: names and texts. Whoever can write it
 * decides what the client believes; nothing in it is secret.
 *
 * The names: `account:<url>#<fingerprint of the API key>` → name of the log; `identity:<instance>` → verifier key of
 * the signer's identity; `log_key:<log>` → verifier key of the log; `checkpoint:<log>` → the last checkpoint, a signed
 * note.
 */
export interface TrustStore {
  /** The text under this name, or null. An error where the store cannot be read: never null for that. */
  get(name: string): Promise<string | null>
  /**
   * Puts `value` in place of `previous` (null: of nothing) and keeps it durably, or answers false and changes nothing
   * where the name has come to hold something else. Comparing and putting are one step, also towards other processes.
   */
  put(name: string, value: string, previous: string | null): Promise<boolean>
}

/** A store that ends with the process: each start trusts anew. For tests, pages and tools that keep nothing. */
export function createMemoryStore(): TrustStore {
  const texts = new Map<string, string>()
  return {
    async get(name) {
      return texts.get(name) ?? null
    },
    async put(name, value, previous) {
      if ((texts.get(name) ?? null) !== previous) return false
      texts.set(name, value)
      return true
    },
  }
}
