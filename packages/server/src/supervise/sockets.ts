import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import type { Identities } from './identities.ts'
import { databaseSocketName } from './postgres.ts'
import type { Identity } from './postgres-binaries.ts'
import { Refusal } from './refusal.ts'

/** One directory per listener, so that each child can make, and reach, only the sockets it should. */
export interface SocketDirectories {
  readonly root: string
  /** PostgreSQL's; the server may enter. */
  readonly database: string
  /** The signer's; the server may enter. */
  readonly signer: string
  /** The server's; only whoever started the supervisor may enter besides. */
  readonly admin: string
}

export const signerSocketName = 'signer.sock'
export const adminSocketName = 'admin.sock'

const prefix = 'popsigner-'

/** The longest path of a unix socket, without its final zero byte. */
const longestPath = process.platform === 'linux' ? 107 : 103

/**
 * Makes the directories for this run: in `<data>/run` for an ordinary user whose path is short enough, else in a new
 * directory with a name nobody can guess. What is found in `<data>/run` must be ours and closed to others.
 */
export function makeSocketDirectories(dataDirectory: string, identities: Identities | null): SocketDirectories {
  const root = makeRoot(join(dataDirectory, 'run'), identities)
  return {
    root,
    database: makeDirectory(join(root, 'db'), identities && { ...identities.database, gid: identities.server.gid }),
    signer: makeDirectory(join(root, 'signer'), identities && { ...identities.signer, gid: identities.server.gid }),
    admin: makeDirectory(join(root, 'admin'), identities && { ...identities.server, gid: 0 }),
  }
}

/** Removes the sockets of a run. Only a directory that we could have made is touched. */
export function removeSocketDirectories(root: string, dataDirectory: string): void {
  if (root !== join(dataDirectory, 'run') && !basename(root).startsWith(prefix)) return
  const found = lstatSync(root, { throwIfNoEntry: false })
  if (found?.isDirectory() && found.uid === process.getuid?.()) rmSync(root, { recursive: true, force: true })
}

function makeRoot(inside: string, identities: Identities | null): string {
  if (identities === null && fits(inside)) {
    try {
      mkdirSync(inside, { mode: 0o700 })
    } catch {
      checkOwn(inside)
    }
    return inside
  }
  const root = mkdtempSync(join(temporaryRoot(identities), prefix))
  // The children that gave up root pass through; what they find there is theirs or closed to them.
  if (identities) chmodSync(root, 0o711)
  return root
}

function makeDirectory(path: string, owner: Identity | null): string {
  rmSync(path, { recursive: true, force: true })
  mkdirSync(path, { mode: 0o700 })
  if (owner) {
    chownSync(path, owner.uid, owner.gid)
    chmodSync(path, 0o750)
  }
  return path
}

function temporaryRoot(identities: Identities | null): string {
  const candidates = [...(identities && process.platform === 'linux' ? ['/run'] : []), tmpdir(), '/tmp']
  for (const candidate of candidates) {
    const found = lstatSync(candidate, { throwIfNoEntry: false })
    if (found?.isDirectory() && fits(join(candidate, `${prefix}XXXXXX`))) return candidate
  }
  return '/tmp'
}

function fits(root: string): boolean {
  const longest = Math.max(
    ...[`db/${databaseSocketName}`, `signer/${signerSocketName}`, `admin/${adminSocketName}`].map((name) =>
      Buffer.byteLength(name),
    ),
  )
  return Buffer.byteLength(root) + 1 + longest <= longestPath
}

function checkOwn(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found?.isDirectory() && found.uid === process.getuid?.() && (found.mode & 0o077) === 0) return
  throw new Refusal(
    `${path} is not a directory of this user that is closed to others (mode 0700): remove it, and start again.`,
  )
}
