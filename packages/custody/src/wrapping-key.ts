import { assertBytes, concat, hex, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { encodeTypeId } from '@popsigner/crypto/typeid'

/** What the identity says about a wrapping key. Ids have 16 bytes. */
export interface WrappingKeyFacts {
  readonly instance: string
  readonly organization: Uint8Array
  readonly id: Uint8Array
  /** 65 bytes. */
  readonly publicKey: Uint8Array
  /** `YYYY-MM-DDTHH:MM:SS.sssZ` */
  readonly expiresAt: string
}

const label = utf8('popsigner/v1/wrapping-key\n')

/**
 * The bytes that the identity's Ed25519 signature over a wrapping key covers: `popsigner/v1/wrapping-key`, a newline,
 * and the canonical JSON of `{expires_at, id, instance, organization, public_key}`, ids as TypeIDs (`wk_`, `org_`), the
 * key as hex.
 */
export function wrappingKeyMessage(facts: WrappingKeyFacts): Uint8Array {
  assertBytes(facts.publicKey, 'publicKey', 65)
  const json = canonicalJson({
    instance: facts.instance,
    organization: encodeTypeId('org', facts.organization),
    id: encodeTypeId('wk', facts.id),
    public_key: hex(facts.publicKey),
    expires_at: facts.expiresAt,
  })
  return concat(label, utf8(json))
}
