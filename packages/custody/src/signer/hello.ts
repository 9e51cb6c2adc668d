import { algorithms } from '@popsigner/crypto/algorithms'
import { CustodyFault } from '../faults.ts'
import { protocolVersion } from '../protocol.ts'
import { type Fields, listOf, readPayload, size } from './payload.ts'
import type { Session, Signer } from './state.ts'

const helloFields = { versions: listOf(size, 16), term: size }

/**
 * The first operation of a connection: versions and terms are exchanged, and the signer says what it is. A term lower
 * than one the ledger has seen is refused, a higher one is on disk before the answer.
 */
export async function hello(signer: Signer, session: Session, payload: Uint8Array): Promise<Fields> {
  const { versions, term } = readPayload(payload, helloFields)
  if (!versions.includes(protocolVersion)) throw new CustodyFault('custody.handshake_failed', { reason: 'version' })
  const { ledger } = signer
  if (term < ledger.term) throw new CustodyFault('custody.term_behind', { term: ledger.term })
  if (term > ledger.term) {
    ledger.term = term
    await ledger.commit()
  }
  session.greeted = true
  return capabilities(signer)
}

function capabilities(signer: Signer): Fields {
  const { ledger, keyring, memory, entropy, identity } = signer
  return {
    protocol: protocolVersion,
    instance: signer.instance,
    term: ledger.term,
    boot: signer.boot,
    identity: identity.publicKey,
    roots: keyring.roots.map(({ id, sequence }) => ({ id, sequence })),
    algorithms: algorithms.map(({ name, engine, native, schemes }) => ({
      ...{ name, engine, native },
      schemes: schemes.map(({ input, hashes, prehashed, deterministic, ...scheme }) => ({
        ...{ name: scheme.name, input, prehashed, deterministic },
        hashes: [...hashes],
      })),
    })),
    memory: { ...memory, slots: keyring.slots, slotsUsed: keyring.used },
    entropyHealthy: entropy.healthy,
    ledger: {
      replaced: ledger.replacedAt !== null,
      healthy: ledger.healthy,
      floor: ledger.floor,
      logs: ledger.logs.size,
    },
  }
}
