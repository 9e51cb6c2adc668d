import { hash as digestOf } from 'node:crypto'
import type { ToSign } from '@popsigner/chains/chain'
import {
  type AlgorithmName,
  digestLengths,
  factsOf,
  type HashName,
  type SchemeFacts,
  schemeOf,
  schemesOf,
} from '@popsigner/crypto/algorithm-facts'
import { isBn254Point } from '@popsigner/crypto/bn254-plain'
import { equal, hex } from '@popsigner/crypto/bytes'
import { digestHex } from '@popsigner/crypto/hash-native'
import type { Use } from '@popsigner/custody/custodian'
import type { SignedLeafValues } from '@popsigner/transparency/signed-leaf'
import type { RequestFault as Refusal } from '../http/request-fault.ts'
import { RequestFault } from '../http/request-fault.ts'
import type { SigningKey, SigningKeyVersion } from '../tenants/signing-key.ts'

/** Bytes that one signature may be asked over. */
export const maximumDataBytes = 1024 * 1024

/** What a caller asks to have signed: raw data or a digest, or what a chain's codec made of a transaction or message. */
export type SigningInput = RawInput | PreparedInput

/** Data, and how it is to be hashed. */
export interface RawInput {
  readonly data: string
  readonly encoding: 'base64' | 'hex' | 'utf8'
  readonly prehashed: boolean
  readonly hash?: HashName | undefined
  readonly scheme?: string | undefined
  readonly key_version?: number | undefined
}

/** What a chain's codec says is to be signed, and what the record says of it. */
export interface PreparedInput {
  readonly kind: 'transaction' | 'message'
  readonly toSign: ToSign
  /** Hex of SHA-256 of what the caller gave. */
  readonly dataHash: string
  /** CAIP-2 id. */
  readonly chain: string
  /** Hex of the hash of the effects. */
  readonly effects: string
  /** The version whose public key it was prepared for. */
  readonly key_version: number
}

/** A signature that may be made, with everything its leaf says about it. */
export interface Decision {
  readonly version: SigningKeyVersion
  readonly scheme: SchemeFacts
  readonly input: Use
  readonly hash: HashName | null
  /** What the signer is given: the message, or the digest. */
  readonly data: Uint8Array
  /** Hex of what goes into the signature; SHA-256 of the message where the scheme takes it whole. */
  readonly digest: string
  /** Hex of SHA-256 of the caller's data. */
  readonly dataHash: string
  /** What else the leaf says of a transaction or message. */
  readonly ofChain: Pick<SignedLeafValues, 'chain' | 'effects' | 'signMode'> | null
}

/** Whether this key may sign this now: the decision, or the refusal. Pure; it reads only what it is given. */
export function decide(key: SigningKey, request: SigningInput): Decision | Refusal {
  const version = key.versions.get(request.key_version ?? key.primaryVersion)
  if (!version) return new RequestFault('key.version_not_found', `The key has versions 1 to ${key.versions.size}.`)
  if (version.state !== 'active') {
    return new RequestFault(
      'key.state_forbids',
      `Version ${version.version} of the key is ${version.state}; only an active one signs.`,
    )
  }
  const input =
    'kind' in request ? fromCodec(key, request) : readInput(key.algorithm as AlgorithmName, key.schemes, request)
  if (input instanceof RequestFault) return input
  if (!key.schemes.includes(input.scheme.name))
    return new RequestFault('key.scheme_not_allowed', `The schemes of the key do not include ${input.scheme.name}.`)
  if (!key.uses.includes(input.input))
    return new RequestFault('key.use_not_allowed', `The uses of the key do not include ${input.input}.`)
  if (input.scheme.ownKey && !equal(input.data, version.publicKey))
    return new RequestFault(
      'sign.data_invalid',
      `${input.scheme.name} signs the public key of the key and nothing else.`,
    )
  if (input.scheme.point && !isBn254Point(input.data))
    return new RequestFault(
      'sign.data_invalid',
      `${input.scheme.name} signs a point of the curve: data must be its x and y, 32 bytes each, big-endian.`,
    )
  return { version, ...input }
}

/**
 * The caller's data as the scheme takes it, the first of `schemes` unless one is named, or why it does not. Verifying reads
 * it the same way, also by a scheme that the key no longer has.
 */
export function readInput(
  algorithm: AlgorithmName,
  schemes: readonly string[],
  request: RawInput,
): Omit<Decision, 'version'> | Refusal {
  const facts = factsOf(algorithm)
  const scheme = schemeOf(facts, request.scheme ?? (schemes[0] as string))
  if (scheme === undefined)
    return new RequestFault('key.scheme_not_allowed', `${algorithm} signs by ${schemesOf(facts)}.`)
  const name = facts.schemes.length === 1 ? algorithm : `${algorithm} by ${scheme.name}`
  if (request.prehashed && !scheme.prehashed)
    return new RequestFault('sign.hash_not_allowed', `${name} does not take a digest.`)
  if (request.hash !== undefined && !scheme.hashes.includes(request.hash)) {
    return new RequestFault(
      'sign.hash_not_allowed',
      scheme.hashes.length === 0 ? `${name} takes no hash.` : `${name} takes ${scheme.hashes.join(' or ')}.`,
    )
  }
  const data = decodeData(request.data, request.encoding)
  if (data instanceof RequestFault) return data
  if (request.prehashed) {
    const length = digestLengths[request.hash ?? (scheme.hashes[0] as HashName)]
    if (data.length !== length)
      return new RequestFault('sign.digest_length', `data is ${data.length} bytes long and a digest has ${length}.`)
    return {
      scheme,
      input: 'digest',
      hash: null,
      data,
      digest: data.toString('hex'),
      dataHash: digestOf('sha256', data, 'hex'),
      ofChain: null,
    }
  }
  const dataHash = digestOf('sha256', data, 'hex')
  const hash = request.hash ?? scheme.hashes[0] ?? null
  const digest = hash === null || hash === 'sha256' ? dataHash : digestHex(hash, data)
  return { scheme, input: 'raw', hash, data, digest, dataHash, ofChain: null }
}

/** What a codec prepared is signed by the default scheme of the key. */
function fromCodec(
  { algorithm, schemes }: SigningKey,
  { kind, toSign, dataHash, chain, effects }: PreparedInput,
): Omit<Decision, 'version'> {
  const scheme = schemeOf(factsOf(algorithm as AlgorithmName), schemes[0] as string) as SchemeFacts
  const data = 'digest' in toSign ? toSign.digest : toSign.message
  const digest = 'digest' in toSign ? hex(data) : digestOf('sha256', data, 'hex')
  const ofChain = { chain, effects, signMode: toSign.signMode }
  return { scheme, input: kind, hash: null, data, digest, dataHash, ofChain }
}

/** The bytes that `data` stands for. Base64 must be canonical and padded, hex of whole bytes. */
export function decodeData(text: string, encoding: 'base64' | 'hex' | 'utf8'): Buffer | Refusal {
  let data: Buffer
  if (encoding === 'base64') {
    data = Buffer.from(text, 'base64')
    if (data.toString('base64') !== text)
      return new RequestFault('sign.data_invalid', 'data is not canonical base64 with padding.')
  } else if (encoding === 'hex') {
    if (text.length % 2 !== 0 || !/^[0-9a-fA-F]*$/.test(text))
      return new RequestFault('sign.data_invalid', 'data is not hex of whole bytes.')
    data = Buffer.from(text, 'hex')
  } else {
    if (!text.isWellFormed()) return new RequestFault('sign.data_invalid', 'data is not well-formed Unicode.')
    data = Buffer.from(text, 'utf8')
  }
  if (data.length > maximumDataBytes)
    return new RequestFault(
      'sign.data_invalid',
      `data is ${data.length} bytes long; at most ${maximumDataBytes} are taken.`,
    )
  return data
}
