/**
 * Leaves of `key.signed` for the signing path: the same bytes as `buildLeaf`, put together from text that is prepared
 * once for a key and an actor.
 *
 * Every value in such a leaf is an id, a digest, a code or a commitment, so nothing needs escaping and every field has a
 * fixed length. The prepared values are checked when the template is made, by building one leaf in full; the values of a
 * record come from encoders (`encodeTypeId`, `hex`, `commitment`, `toISOString`) and are checked by length.
 */
import { events } from './events.ts'
import { buildLeaf, type LeafOf } from './record.ts'

/** What all leaves made from one template have in common. */
export type SignedLeafFacts = Pick<
  LeafOf<'key.signed'>,
  'log' | 'actor' | 'key' | 'version' | 'public_key' | 'algorithm' | 'scheme' | 'input' | 'hash'
>

/** What differs from leaf to leaf. Absent and `undefined` mean that the leaf does not have the field. */
export interface SignedLeafValues {
  /** `rec_…` */
  readonly id: string
  /** `YYYY-MM-DDTHH:MM:SS.sssZ` */
  readonly time: string
  /** Lower-case hex, of 32 bytes unless the template was made for another length. */
  readonly digest: string
  /** Lower-case hex of 32 bytes. */
  readonly dataHash: string
  /** `req_…` */
  readonly request?: string | undefined
  /** A commitment, as `commitment` returns it. */
  readonly address?: string | undefined
  /** A commitment. */
  readonly userAgent?: string | undefined
  /** Lower-case hex of 32 bytes. */
  readonly idempotency?: string | undefined
  /** A transaction or message of a chain: its CAIP-2 id, lower-case hex of the effects' hash, and the sign mode if the chain has several. */
  readonly chain?: string | undefined
  readonly effects?: string | undefined
  readonly signMode?: string | undefined
}

/** Makes a leaf's canonical text. It is ASCII: its length is its length in bytes, whichever encoding writes it. */
export type SignedLeafBuilder = (values: SignedLeafValues) => string

const fields = events['key.signed'].fields

const ID_LENGTH = 30
const TIME_LENGTH = 24
const HASH_DIGITS = 64
const COMMITMENT_LENGTH = 43

/**
 * Prepares the constant text of `key.signed` leaves. `RangeError` for facts that `buildLeaf` would refuse, and for
 * `digestLength` (bytes) outside 1 to 64. The builder throws `RangeError` for a value of another length than its form's;
 * beyond `chain` and `signMode` it looks no closer, so what it is given must come from an encoder and never from a caller's text.
 */
export function createSignedLeafBuilder(facts: SignedLeafFacts, digestLength = 32): SignedLeafBuilder {
  if (!Number.isInteger(digestLength)) throw new RangeError('digestLength: expected a whole number')
  const { log, actor, key, version, public_key, algorithm, scheme, input, hash } = facts
  const sample = {
    log,
    actor,
    key,
    version,
    public_key,
    algorithm,
    scheme,
    input,
    ...(hash === undefined ? {} : { hash }),
    event: 'key.signed',
    id: 'rec_00000000000000000000000000',
    time: '2000-01-01T00:00:00.000Z',
    digest: '00'.repeat(digestLength),
    data_hash: '0'.repeat(HASH_DIGITS),
  } as const
  // Throws for what no leaf may hold; the forms that remain have no quote, backslash, control or non-ASCII character.
  if (buildLeaf(sample).some((byte) => byte === 0x5c || byte < 0x20 || byte > 0x7e))
    throw new RangeError('facts: hold a character that needs escaping')
  const digestDigits = 2 * digestLength
  const head = `{"actor":"${actor}",`
  const afterAddress = `"algorithm":"${algorithm}",`
  const afterEffects = `"event":"key.signed",${hash === undefined ? '' : `"hash":"${hash}",`}"id":"`
  const afterIdempotency = `"input":"${input}","key":"${key}","log":"${log}","public_key":"${public_key}",`
  const afterRequest = `"scheme":"${scheme}",`
  const tail = `"v":1,"version":${version}}`
  return ({ id, time, digest, dataHash, request, address, userAgent, idempotency, chain, effects, signMode }) => {
    if (
      id.length !== ID_LENGTH ||
      time.length !== TIME_LENGTH ||
      digest.length !== digestDigits ||
      dataHash.length !== HASH_DIGITS ||
      (request !== undefined && request.length !== ID_LENGTH) ||
      (address !== undefined && address.length !== COMMITMENT_LENGTH) ||
      (userAgent !== undefined && userAgent.length !== COMMITMENT_LENGTH) ||
      (idempotency !== undefined && idempotency.length !== HASH_DIGITS) ||
      (effects !== undefined && effects.length !== HASH_DIGITS) ||
      (chain !== undefined && !fields.chain.check(chain)) ||
      (signMode !== undefined && !fields.sign_mode.check(signMode))
    )
      throw new RangeError('values: one has not its form')
    // The names in the order of RFC 8785 §3.2.3: actor, address, algorithm, chain, data_hash, digest, effects, event,
    // hash, id, idempotency, input, key, log, public_key, request, scheme, sign_mode, time, user_agent, v, version.
    return (
      head +
      (address === undefined ? '' : `"address":"${address}",`) +
      afterAddress +
      (chain === undefined ? '' : `"chain":"${chain}",`) +
      `"data_hash":"${dataHash}","digest":"${digest}",` +
      (effects === undefined ? '' : `"effects":"${effects}",`) +
      `${afterEffects}${id}",` +
      (idempotency === undefined ? '' : `"idempotency":"${idempotency}",`) +
      afterIdempotency +
      (request === undefined ? '' : `"request":"${request}",`) +
      afterRequest +
      (signMode === undefined ? '' : `"sign_mode":"${signMode}",`) +
      `"time":"${time}",` +
      (userAgent === undefined ? '' : `"user_agent":"${userAgent}",`) +
      tail
    )
  }
}
