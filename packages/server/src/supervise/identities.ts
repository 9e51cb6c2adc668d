import { nobody } from './postgres.ts'
import type { Identity } from './postgres-binaries.ts'

/** Who each child runs as. */
export interface Identities {
  readonly signer: Identity
  readonly server: Identity
  readonly database: Identity
}

/**
 * The users of the children when the supervisor is root: the signer and the server each have a number that no one else
 * has and that needs no entry in the system's list, PostgreSQL is `nobody`. Null for an ordinary user: then all are one,
 * and the boundary between server and signer holds against a leak of memory, not against code running in the server.
 */
export function childIdentities(): Identities | null {
  if (process.getuid?.() !== 0) return null
  return {
    signer: { uid: 60_906, gid: 60_906 },
    server: { uid: 60_907, gid: 60_907 },
    database: nobody(),
  }
}
