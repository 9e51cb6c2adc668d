import { mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Entropy } from '@popsigner/crypto/entropy'
import { Secret } from '@popsigner/crypto/secret'
import { createFile } from '../durable-file.ts'
import { createIdentity } from '../identity-file.ts'
import { createKeyFile, makeRoot } from '../key-file.ts'
import { createLedgerFile } from '../ledger.ts'
import { isInstanceName } from '../spec.ts'

/** Where a new instance's custody lives, and what is in it when `initializeCustody` is done. */
export interface CustodyPlaces {
  /** Directory for `identity` and `ledger`; made with mode 0700. */
  readonly directory: string
  /** Path of the key file; its directory is made with mode 0700. */
  readonly keyFile: string
  readonly instance: string
  readonly entropy: Entropy
}

/**
 * Makes key file, identity and ledger of a new instance, each with mode 0600 and durable before the promise is
 * fulfilled, and answers the identity's public key (32 bytes). Nothing that exists is ever replaced: `EEXIST` for the
 * first file that is there already. The key file is made first: a run that broke off leaves one that seals nothing.
 */
export async function initializeCustody(places: CustodyPlaces): Promise<Uint8Array> {
  const { directory, keyFile, instance, entropy } = places
  if (!isInstanceName(instance)) throw new RangeError('instance: expected lower-case letters, digits, dots and hyphens')
  mkdirSync(directory, { recursive: true, mode: 0o700 })
  mkdirSync(dirname(keyFile), { recursive: true, mode: 0o700 })
  const root = makeRoot(1, entropy, { take: (length?: number) => Secret.allocate(length ?? 32) })
  const secret = Secret.allocate(32)
  try {
    await createKeyFile(keyFile, [root])
    const publicKey = await createIdentity(join(directory, 'identity'), instance, secret, root, entropy)
    await createLedgerFile(join(directory, 'ledger'), instance)
    return publicKey
  } finally {
    root.key.wipe()
    secret.wipe()
  }
}

/**
 * Makes a file of 32 random bytes, mode 0600: the proof of the signer's socket, or the host key. `EEXIST` where there
 * is one.
 */
export async function createKeyBytes(path: string, entropy: Entropy): Promise<void> {
  const secret = Secret.allocate(32)
  try {
    secret.use((into) => entropy.fill(into))
    const parts: Uint8Array[] = []
    secret.use((bytes) => parts.push(bytes))
    await createFile(path, parts)
  } finally {
    secret.wipe()
  }
}
