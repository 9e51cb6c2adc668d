import { hash as digestOf } from 'node:crypto'
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
import { digestHex } from '@popsigner/crypto/hash-native'
import type { RequestFault as Refusal } from '../http/request-fault.ts'
import { RequestFault } from '../http/request-fault.ts'
import type { SigningKey, SigningKeyVersion } from '../tenants/signing-key.ts'

/** Bytes that one signature may be asked over. */
export const maximumDataBytes = 1024 * 1024

/** What a caller asks to have signed. */
export interface SigningInput {
  readonly data: string
  readonly encoding: 'base64' | 'hex' | 'utf8'
  readonly prehashed: boolean
  readonly hash?: HashName | undefined
  readonly scheme?: string | undefined
  readonly key_version?: number | undefined
}

/** A signature that may be made, with everything its leaf says about it. */
export interface Decision {
  readonly version: SigningKeyVersion
  readonly scheme: SchemeFacts
  readonly input: 'raw' | 'digest'
  readonly hash: HashName | null
  /** What the caller gave: the message, or the digest. */
  readonly data: Buffer
  /** Hex of what goes into the signature; SHA-256 of the message where the scheme takes it whole. */
  readonly digest: string
  /** Hex of SHA-256 of the caller's data. */
  readonly dataHash: string
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
  const input = readInput(key.algorithm as AlgorithmName, key.schemes, request)
  if (input instanceof RequestFault) return input
  if (!key.schemes.includes(input.scheme.name))
    return new RequestFault('key.scheme_not_allowed', `The schemes of the key do not include ${input.scheme.name}.`)
  if (!key.uses.includes(input.input))
    return new RequestFault('key.use_not_allowed', `The uses of the key do not include ${input.input}.`)
  if (input.scheme.ownKey && !input.data.equals(version.publicKey))
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
  request: SigningInput,
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
    }
  }
  const dataHash = digestOf('sha256', data, 'hex')
  const hash = request.hash ?? scheme.hashes[0] ?? null
  const digest = hash === null || hash === 'sha256' ? dataHash : digestHex(hash, data)
  return { scheme, input: 'raw', hash, data, digest, dataHash }
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
