/**
 * Moves private keys, sealed from end to end (HPKE, RFC 9180): in to the signer, whose wrapping key must be signed by
 * the pinned identity, and out to a recipient that exists for one call. `docs/formats.md` has what is bound to a moved
 * key.
 */

import type { Call, Output } from '@popsigner/api/routes'
import { readExportTerms } from '@popsigner/api/schemas/keys'
import { type AlgorithmName, factsOf, isAlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { assertBytes, base64, concat, equal, fromBase64, fromHex, hex, utf8 } from '@popsigner/crypto/bytes'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import { generateRecipient, openWith, type Recipient, sealTo } from '@popsigner/crypto/hpke'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { publicKeyOf, verifySignature } from '@popsigner/crypto/verify'
import { exportAad, exportInfo, importAad, importInfo } from '@popsigner/crypto/wrapping'
import { TrustError } from './errors.ts'
import type { CallOptions, Transport } from './transport.ts'
import type { PinnedIdentity, Trust } from './trust.ts'

type ImportBody = Call<'keys.import'>['body']

/** A private key and what is to become of it. */
export interface KeyToImport extends Omit<ImportBody, 'public_key' | 'wrapping_key_id' | 'enc' | 'ciphertext'> {
  /**
   * In the form of its algorithm (docs/formats.md#private-keys): mostly 32 bytes, the scalar, big-endian, or the seed of
   * RFC 8032. They stay the caller's, to wipe when this is done.
   */
  readonly privateKey: Uint8Array
}

/** Without an idempotency key: sealing is random, so a repeat is never the same request. */
export type ImportKeyOptions = Omit<CallOptions, 'idempotencyKey' | 'ifMatch'>

/** How a key is exported. */
export interface ExportKeyOptions extends Omit<CallOptions, 'idempotencyKey' | 'ifMatch'> {
  /** The version; the primary one unless named. */
  readonly keyVersion?: number
  /**
   * For a key that is bound to one recipient: its key pair, which stays the caller's. Otherwise one is made and wiped.
   */
  readonly recipient?: Recipient
  /** The public key that the caller expects, lower-case hex. Without it, the server decides which key came back. */
  readonly publicKey?: string
}

/** A private key that came out. */
export interface ExportedPrivateKey {
  /** In the form of its algorithm, the caller's to wipe. Whoever has them signs where no record is made. */
  readonly privateKey: Uint8Array
  readonly algorithm: AlgorithmName
  /** Lower-case hex; checked to be the private key's. */
  readonly publicKey: string
  readonly keyVersion: number
  /** The record of the export. */
  readonly recordId: string
}

/** What a key may be asked for unless the caller says less, in the order in which specifications have it. */
const allUses = ['transaction', 'message', 'raw', 'digest'] as const

/** The label before what the identity signs of a wrapping key. */
const wrappingKeyLabel = utf8('popsigner/v1/wrapping-key\n')

/**
 * Seals a private key to a new wrapping key of the signer and imports it. Algorithm, schemes, uses, terms of export and
 * public key are bound to what is sealed, so that the server can change none of them. The key that was imported is
 * compared with the one that was sealed.
 *
 * `TrustError` `wrapping_key.invalid` before anything is sealed, where the wrapping key is not signed by the pinned
 * identity; `RangeError` for bytes that are no private key. The copies of the key that are made here are wiped; those
 * of the platform's WebCrypto and of big numbers cannot be.
 */
export async function importKey(
  transport: Transport,
  trust: Trust,
  { privateKey: given, ...key }: KeyToImport,
  options?: ImportKeyOptions,
): Promise<Output<'keys.import'>> {
  const algorithm = key.algorithm ?? 'secp256k1'
  if (!isAlgorithmName(algorithm)) throw new RangeError('algorithm: not in the table')
  assertBytes(given, 'privateKey', factsOf(algorithm).secretLength)
  const { exportable, export: ruleGiven, ...rest } = key
  if (exportable !== undefined && ruleGiven !== undefined && exportable !== (ruleGiven !== 'none'))
    throw new RangeError('export: must not contradict exportable')
  const rule = readExportTerms(key)
  const schemes = key.schemes ?? [factsOf(algorithm).schemes[0].name]
  const uses = allUses.filter((use) => key.uses === undefined || key.uses.includes(use))
  const privateKey = given.slice()
  try {
    const publicKey = publicKeyOf(algorithm, privateKey)
    const identity = await trust.identity(options)
    const wrapping = await transport.call('keys.createWrappingKey', {}, options)
    const wrappingId = checkWrappingKey(wrapping, identity)
    const aad = importAad({
      instance: identity.instance,
      organization: decodeTypeId(identity.organization, 'org') as Uint8Array,
      wrapping_key: wrappingId,
      algorithm,
      schemes,
      uses,
      export: readRule(rule),
      public_key: publicKey,
    })
    const { enc, ciphertext } = await sealTo(fromHex(wrapping.public_key), importInfo, aad, privateKey)
    const body: ImportBody = {
      ...rest,
      ...{ algorithm, schemes, uses, export: rule, public_key: hex(publicKey), wrapping_key_id: wrapping.id },
      ...{ enc: base64(enc), ciphertext: base64(ciphertext) },
    }
    const imported = await transport.call('keys.import', { body }, options)
    if (imported.public_key !== hex(publicKey) || imported.algorithm !== algorithm || imported.export !== rule)
      throw new TrustError('import.mismatch', 'the key that was imported is not the one that was sealed', {
        key: imported.id,
      })
    return imported
  } finally {
    privateKey.fill(0)
  }
}

/**
 * Exports a key: makes a recipient for this call, opens what was sealed to it, and checks that the private key is that
 * of the public key. Needs a key whose `export` allows it. `TrustError` `export.cannot_open` or `export.mismatch` where
 * what came back is something else; everything secret is wiped then.
 */
export async function exportKey(
  transport: Transport,
  id: string,
  options: ExportKeyOptions = {},
): Promise<ExportedPrivateKey> {
  const { keyVersion, recipient: given, publicKey: expected, ...callOptions } = options
  const recipient = given ?? generateRecipient()
  let privateKey: Uint8Array | null = null
  let done = false
  try {
    const body = {
      recipient_public_key: hex(recipient.publicKey),
      ...(keyVersion === undefined ? {} : { key_version: keyVersion }),
    }
    const sealed = await transport.call('keys.export', { params: { id }, body }, callOptions)
    const mismatch = (what: string) => new TrustError('export.mismatch', what, { key: id })
    if (sealed.key_id !== id || (keyVersion !== undefined && sealed.key_version !== keyVersion))
      throw mismatch('another key or version came back')
    if (expected !== undefined && sealed.public_key !== expected)
      throw mismatch('a key with another public key came back')
    if (!isAlgorithmName(sealed.algorithm)) throw mismatch('a key of an unknown algorithm came back')
    privateKey = await open(sealed, recipient)
    if (privateKey === null) throw new TrustError('export.cannot_open', 'what came back cannot be opened', { key: id })
    if (!isPrivateKeyOf(sealed.algorithm, privateKey, sealed.public_key))
      throw mismatch('what came back is not the private key of its public key')
    done = true
    return {
      ...{ privateKey, algorithm: sealed.algorithm, publicKey: sealed.public_key },
      ...{ keyVersion: sealed.key_version, recordId: sealed.record_id },
    }
  } finally {
    if (given === undefined) recipient.privateKey.fill(0)
    if (!done) privateKey?.fill(0)
  }
}

/**
 * The wrapping key's id as bytes. `TrustError` unless the pinned identity signed this key for this organization, and it
 * is still good.
 */
function checkWrappingKey(key: Output<'keys.createWrappingKey'>, identity: PinnedIdentity): Uint8Array {
  const { id, public_key, instance, organization, expires_at } = key
  const refuse = (why: string): never => {
    throw new TrustError('wrapping_key.invalid', `${why}; nothing was sealed to it`, {
      wrapping_key: String(id).slice(0, 64),
    })
  }
  if (instance !== identity.instance || organization !== identity.organization)
    refuse('the wrapping key is for another instance or organization')
  let signed = false
  try {
    const message = concat(
      wrappingKeyLabel,
      utf8(canonicalJson({ expires_at, id, instance, organization, public_key })),
    )
    signed = verifySignature('ed25519', { message }, fromBase64(key.signature), identity.key.publicKey)
  } catch {
    // Whatever cannot be read was not signed.
  }
  if (!signed) refuse('the wrapping key is not signed by the pinned identity of the signer')
  // An old one may have been kept for the day on which its private half leaks. NaN is not above.
  if (!(Date.parse(expires_at) > Date.now())) refuse('the wrapping key has expired by the clock of this machine')
  return decodeTypeId(id, 'wk') ?? refuse('the wrapping key has no id')
}

/** The plaintext, or null for what cannot be opened or read. */
async function open(sealed: Output<'keys.export'>, recipient: Recipient): Promise<Uint8Array | null> {
  try {
    const aad = exportAad({
      instance: sealed.instance,
      organization: decodeTypeId(sealed.organization, 'org') as Uint8Array,
      key: decodeTypeId(sealed.key_id, 'key') as Uint8Array,
      version: sealed.key_version,
      algorithm: sealed.algorithm,
      schemes: sealed.schemes,
      uses: sealed.uses,
      export: readRule(sealed.export),
      public_key: fromHex(sealed.public_key),
    })
    const { privateKey, publicKey } = recipient
    return await openWith(privateKey, publicKey, fromBase64(sealed.enc), exportInfo, aad, fromBase64(sealed.ciphertext))
  } catch {
    return null
  }
}

function isPrivateKeyOf(algorithm: AlgorithmName, privateKey: Uint8Array, publicKey: string): boolean {
  try {
    return equal(publicKeyOf(algorithm, privateKey), fromHex(publicKey))
  } catch {
    return false
  }
}

function readRule(rule: string): 'none' | 'any' | Uint8Array {
  return rule === 'none' || rule === 'any' ? rule : fromHex(rule)
}
