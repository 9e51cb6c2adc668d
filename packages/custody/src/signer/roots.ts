import type { Secret } from '@popsigner/crypto/secret'
import type { Material } from '../custodian.ts'
import { CustodyFault } from '../faults.ts'
import { readIdentity, replaceIdentity } from '../identity-file.ts'
import { makeRoot, type RootKey, replaceKeyFile } from '../key-file.ts'
import { seal } from '../sealing.ts'
import { encodeSpec, type Spec } from '../spec.ts'
import { isRefusal } from './keyring.ts'
import { blankSpec, materialFields, openOrganizationKey } from './keys.ts'
import { type Fields, material, readPayload } from './payload.ts'
import type { Session, Signer } from './state.ts'

const organizationKeyFields = { organization_key: material }

/** The open roots, oldest first; the last one seals. */
export function roots(signer: Signer, _session: Session, payload: Uint8Array): Fields {
  readPayload(payload, {})
  return rootFields(signer)
}

/** Opens a second root beside the first; it seals from now on. In the key file before the answer. */
export async function rotateRoot(signer: Signer, _session: Session, payload: Uint8Array): Promise<Fields> {
  readPayload(payload, {})
  return alone(signer, async () => {
    const { keyring } = signer
    if (keyring.roots.length !== 1) throw new CustodyFault('seal.rotation_state', { roots: keyring.roots.length })
    const next = makeRoot((keyring.roots[0] as RootKey).sequence + 1, signer.entropy, keyring)
    try {
      await replaceKeyFile(signer.keyFile, [...keyring.roots, next])
    } catch (error) {
      next.key.wipe()
      throw error
    }
    keyring.setRoots([...keyring.roots, next])
    await resealIdentity(signer)
    return rootFields(signer)
  })
}

/** Refuses every root but the newest for good: first in the ledger, then the key file forgets them. */
export async function retireRoot(signer: Signer, _session: Session, payload: Uint8Array): Promise<Fields> {
  readPayload(payload, {})
  return alone(signer, async () => {
    const { keyring, ledger } = signer
    const newest = keyring.roots.at(-1) as RootKey
    if (keyring.roots.length < 2) throw new CustodyFault('seal.rotation_state', { roots: keyring.roots.length })
    // The rotation may have ended before it wrote this: without it the next start would have no identity.
    await resealIdentity(signer)
    ledger.floor = newest.sequence
    keyring.clear()
    await ledger.commit()
    await replaceKeyFile(signer.keyFile, [newest])
    keyring.setRoots([newest])
    return rootFields(signer)
  })
}

/** Seals an organization key, specification and all, under the newest root. */
export function resealOrganizationKey(signer: Signer, _session: Session, payload: Uint8Array): Fields {
  const { organization_key } = readPayload(payload, organizationKeyFields)
  const opened = signer.keyring.secret(null, organization_key, 'organization-key')
  if (isRefusal(opened)) throw new CustodyFault(opened, null)
  const { spec, secret } = opened
  try {
    return { material: materialFields(sealUnderRoot(signer, spec, secret)) }
  } finally {
    secret.wipe()
  }
}

/**
 * Makes the next organization key. The old one opens until its id is destroyed, so that everything under it can be
 * resealed.
 */
export function rotateOrganizationKey(signer: Signer, session: Session, payload: Uint8Array): Fields {
  const { organization_key } = readPayload(payload, organizationKeyFields)
  const { spec, organization } = openOrganizationKey(signer, session, organization_key)
  const made = makeOrganizationKey(signer, organization, spec.version + 1)
  made.secret.wipe()
  return { material: materialFields(made.material) }
}

/** A new organization key, sealed by the newest root. The caller wipes `secret`. */
export function makeOrganizationKey(
  signer: Signer,
  organization: Uint8Array,
  version: number,
): { readonly material: Material; readonly spec: Spec; readonly secret: Secret } {
  const id = new Uint8Array(16)
  signer.entropy.fill(id)
  const spec: Spec = {
    ...blankSpec(signer, { organization }, id),
    kind: 'organization-key',
    version,
    origin: 'generated',
  }
  const secret = signer.keyring.take()
  try {
    secret.use((into) => signer.entropy.fill(into))
    return { material: sealUnderRoot(signer, spec, secret), spec, secret }
  } catch (error) {
    secret.wipe()
    throw error
  }
}

async function resealIdentity({ identityFile, instance, keyring, entropy }: Signer): Promise<void> {
  const { spec, secret } = readIdentity(identityFile, instance, keyring.roots, () => keyring.take())
  try {
    await replaceIdentity(identityFile, spec, secret, keyring.roots.at(-1) as RootKey, entropy)
  } finally {
    secret.wipe()
  }
}

/** One change of the roots at a time: each writes the key file from what it found. */
async function alone(signer: Signer, change: () => Promise<Fields>): Promise<Fields> {
  if (signer.rootsBusy) throw new CustodyFault('seal.rotation_state', { roots: signer.keyring.roots.length })
  signer.rootsBusy = true
  try {
    return await change()
  } finally {
    signer.rootsBusy = false
  }
}

function rootFields({ keyring }: Signer): Fields {
  return { roots: keyring.roots.map(({ id, sequence }) => ({ id, sequence })) }
}

/** Seals under the newest root. */
function sealUnderRoot(signer: Signer, spec: Spec, secret: Secret): Material {
  const root = signer.keyring.roots.at(-1) as RootKey
  const encoded = encodeSpec(spec)
  const envelope = root.key.use((key) =>
    secret.use((bytes) => seal({ id: root.id, bytes: key }, signer.entropy, bytes, encoded)),
  )
  return { spec: encoded, envelope }
}
