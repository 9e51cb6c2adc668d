/** Data to sign, as a caller has it: bytes, or text that says how it is encoded. */
import type { Call } from '@popsigner/api/routes'
import { base64, fromBase64 } from '@popsigner/crypto/bytes'

/** The bytes, or text beside its encoding. Text alone is refused: `abcd` is hex, base64 and a word. */
export type Data =
  | { readonly data: Uint8Array; readonly encoding?: never }
  | { readonly data: string; readonly encoding: 'base64' | 'hex' | 'utf8' }

type SigningBody = Call<'keys.sign'>['body']
type VerificationBody = Call<'keys.verify'>['body']
type BatchBody = Call<'sign.batch'>['body']
type BatchItem = BatchBody['requests'][number]

/** What `keys.sign` takes. */
export type Signing = Omit<SigningBody, 'data' | 'encoding'> & Data

/** What `keys.verify` takes; the signature as bytes or as base64. */
export type Verification = Omit<VerificationBody, 'data' | 'encoding' | 'signature'> &
  Data & { readonly signature: Uint8Array | string }

/** One item of a batch. */
export type SigningItem = Omit<BatchItem, 'data' | 'encoding'> & Data

/**
 * What `signBatch` takes: at most 1,000 items. What stands beside the list holds for items that do not say otherwise.
 */
export type SigningBatch = Omit<BatchBody, 'requests' | 'encoding'> & { readonly requests: readonly SigningItem[] }

/** The body of `keys.sign`. `TypeError` for text without an encoding. */
export function signingBody(signing: Signing): SigningBody {
  return { ...signing, ...encodeData(signing, 'data') }
}

/** The body of `keys.verify`. */
export function verificationBody(verification: Verification): VerificationBody {
  const { signature } = verification
  return {
    ...verification,
    ...encodeData(verification, 'data'),
    signature: signature instanceof Uint8Array ? base64(signature) : signature,
  }
}

/** The body of `sign.batch`. */
export function batchBody(batch: SigningBatch): BatchBody {
  return {
    ...batch,
    requests: batch.requests.map((item, i) => ({ ...item, ...encodeData(item, `requests[${i}].data`) })),
  }
}

/** An aggregated BLS signature, the keys (lower-case hex), and one message that all signed, or one for each. */
export interface AggregateVerification {
  readonly publicKeys: readonly string[]
  readonly messages: readonly Data[]
  readonly signature: Uint8Array | string
}

/** The body of `signatures.verifyAggregate`. */
export function aggregateVerificationBody({
  publicKeys,
  messages,
  signature,
}: AggregateVerification): Call<'signatures.verifyAggregate'>['body'] {
  return {
    public_keys: [...publicKeys],
    messages: messages.map((message, i) => encodeData(message, `messages[${i}].data`)),
    signature: signature instanceof Uint8Array ? base64(signature) : signature,
  }
}

/** The bytes of a signature as the API answers it. `RangeError` for text that is not base64. */
export function signatureBytes(answer: { readonly signature: string }): Uint8Array {
  return fromBase64(answer.signature)
}

function encodeData(given: Data, name: string): { data: string; encoding: 'base64' | 'hex' | 'utf8' } {
  const { data, encoding } = given as { data: unknown; encoding?: 'base64' | 'hex' | 'utf8' }
  if (data instanceof Uint8Array) {
    if (encoding !== undefined) throw new TypeError(`${name}: bytes have no encoding`)
    return { data: base64(data), encoding: 'base64' }
  }
  if (typeof data !== 'string') throw new TypeError(`${name}: expected bytes or text, got ${typeof data}`)
  if (encoding === undefined) throw new TypeError(`${name}: text needs its encoding: base64, hex or utf8`)
  return { data, encoding }
}
