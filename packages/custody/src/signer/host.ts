import { timingSafeEqual } from 'node:crypto'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { CustodyFault } from '../faults.ts'
import { type AcceptCheckpoint, hostMac, parseHostAction } from '../host-action.ts'
import { acceptCheckpoint } from './logs.ts'
import { bytes, type Fields, type Reader, readPayload, refuse } from './payload.ts'
import type { Session, Signer } from './state.ts'

const nonceLifeMs = 5 * 60_000
const nonceLimit = 64
const content: Reader<Uint8Array> = (value, name) => {
  if (!(value instanceof Uint8Array) || value.length > 1024) throw refuse(name)
  return value
}
const actionFields = { nonce: bytes(32), content, mac: bytes(32) }

/** A nonce for one host action, good for five minutes. */
export function hostNonce(signer: Signer, _session: Session, payload: Uint8Array): Fields {
  readPayload(payload, {})
  const nonce = new Uint8Array(32)
  signer.entropy.fill(nonce)
  const { hostNonces } = signer
  hostNonces.set(hex(nonce), signer.now() + nonceLifeMs)
  if (hostNonces.size > nonceLimit) hostNonces.delete(hostNonces.keys().next().value as string)
  return { nonce }
}

/**
 * Does what the host authorized, once. One refusal for a wrong MAC and for a nonce that is unknown, used or too old.
 */
export async function hostAction(signer: Signer, sessions: Iterable<Session>, payload: Uint8Array): Promise<Fields> {
  const { nonce, content: said, mac } = readPayload(payload, actionFields)
  const id = hex(nonce)
  const ends = signer.hostNonces.get(id)
  signer.hostNonces.delete(id)
  const expected = signer.hostKey.use((key) => hostMac(key, fromHex(id), said))
  const right = timingSafeEqual(expected, mac)
  if (!right || ends === undefined || ends < signer.now()) throw new CustodyFault('custody.host_refused', null)
  let action: AcceptCheckpoint
  try {
    action = parseHostAction(said)
  } catch {
    throw refuse('content')
  }
  acceptCheckpoint(signer.ledger, action.organization, action.size, action.root)
  for (const session of sessions) session.proven.delete(hex(action.organization))
  await signer.ledger.commit()
  return {}
}
