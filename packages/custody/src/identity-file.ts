import { readFileSync } from 'node:fs'
import { concat, equal, utf8 } from '@popsigner/crypto/bytes'
import { ed25519 } from '@popsigner/crypto/ed25519'
import type { Entropy } from '@popsigner/crypto/entropy'
import type { Secret } from '@popsigner/crypto/secret'
import { createFile, replaceFile } from './durable-file.ts'
import { envelopeLength, sealedBy } from './envelope.ts'
import type { RootKey } from './key-file.ts'
import { openInto, seal } from './sealing.ts'
import { encodeSpec, parseSpec, type Spec } from './spec.ts'

/**
 * The file of the signer's identity, an Ed25519 key sealed by the root: `"PSIDEN" 0x00 0x01 ‖ u32be length ‖
 * specification ‖ envelope`. Whoever replaces it can only put another identity of the same root there, which those who
 * pinned this one notice.
 */
const magic = concat(utf8('PSIDEN'), Uint8Array.of(0, 1))

/**
 * Makes the identity of a new instance. `secret` is 32 bytes of locked memory, which the caller wipes. Fails with
 * `EEXIST` where there is one.
 */
export async function createIdentity(
  path: string,
  instance: string,
  secret: Secret,
  root: RootKey,
  entropy: Entropy,
): Promise<Uint8Array> {
  const key = new Uint8Array(16)
  entropy.fill(key)
  secret.use((into) => ed25519.generate(entropy, into))
  const publicKey = secret.use(ed25519.publicKey)
  const spec: Spec = {
    instance,
    organization: null,
    kind: 'identity',
    key,
    version: 1,
    generation: 1,
    algorithm: ed25519.name,
    schemes: [],
    uses: [],
    publicKey,
    origin: 'generated',
    export: 'none',
    parent: null,
    path: null,
  }
  await createFile(path, layOut(spec, secret, root, entropy))
  return publicKey
}

/** Seals the identity under another root, durably before the promise is fulfilled. */
export async function replaceIdentity(
  path: string,
  spec: Spec,
  secret: Secret,
  root: RootKey,
  entropy: Entropy,
): Promise<void> {
  await replaceFile(path, layOut(spec, secret, root, entropy))
}

/**
 * Opens the identity into a secret that `take` gives and the caller wipes. `RangeError` when the file is damaged or
 * another instance's or root's.
 */
export function readIdentity(
  path: string,
  instance: string,
  roots: readonly RootKey[],
  take: () => Secret,
): { readonly spec: Spec; readonly secret: Secret } {
  const bytes = new Uint8Array(readFileSync(path))
  const start = magic.length + 4
  const end = bytes.length - envelopeLength()
  if (end < start || !equal(bytes.subarray(0, magic.length), magic)) throw new RangeError('identity: of another format')
  const encoded = bytes.subarray(start, end)
  const envelope = bytes.subarray(end)
  if (new DataView(bytes.buffer).getUint32(magic.length) !== encoded.length) throw new RangeError('identity: damaged')
  const spec = parseSpec(encoded)
  if (spec.instance !== instance) throw new RangeError('identity: of another instance')
  if (spec.kind !== 'identity') throw new RangeError('identity: damaged')
  const by = sealedBy(envelope)
  const root = roots.find(({ id }) => by !== null && equal(id, by))
  if (root === undefined) throw new RangeError('identity: sealed by a root that the key file does not hold')
  const secret = take()
  const opened = secret.use((into) =>
    root.key.use((key) => openInto(into, { id: root.id, bytes: key }, envelope, encoded)),
  )
  if (opened) return { spec, secret }
  secret.wipe()
  throw new RangeError('identity: damaged, or the key file is of another instance')
}

function layOut(spec: Spec, secret: Secret, root: RootKey, entropy: Entropy): Uint8Array[] {
  const encoded = encodeSpec(spec)
  const length = new Uint8Array(4)
  new DataView(length.buffer).setUint32(0, encoded.length)
  const by = root.key.use((key) => secret.use((bytes) => seal({ id: root.id, bytes: key }, entropy, bytes, encoded)))
  return [magic, length, encoded, by]
}
