/**
 * Private and public keys in the encodings of other programs: PEM and DER (PKCS#8, SEC1, SPKI), JWK, the keystores of
 * Ethereum. For Node alone. What is read or written exists in the caller's process; the API takes and gives bytes.
 */
import { createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject } from 'node:crypto'
import { type AlgorithmName, factsOf } from '@popsigner/crypto/algorithm-facts'
import { assertBytes, concat, fromBase64url, fromHex } from '@popsigner/crypto/bytes'
import { openKeystore, sealKeystore } from './keystore.ts'

/** How a private key can be written. */
export type PrivateKeyFormat = 'hex' | 'pem' | 'jwk' | 'keystore'
/** How a public key can be written. */
export type PublicKeyFormat = 'hex' | 'pem' | 'jwk'

/** How OpenSSL knows the keys of an algorithm. */
type Kind =
  | { readonly kind: 'ec'; readonly curve: string; readonly identifier: string }
  | { readonly kind: 'ed25519' }
  | { readonly kind: 'rsa' }
  | null

const secp256k1 = { kind: 'ec', curve: 'secp256k1', identifier: '06052b8104000a' } as const
const kinds: { readonly [name in AlgorithmName]: Kind } = {
  secp256k1,
  'secp256k1-schnorr': secp256k1,
  ed25519: { kind: 'ed25519' },
  p256: { kind: 'ec', curve: 'prime256v1', identifier: '06082a8648ce3d030107' },
  p384: { kind: 'ec', curve: 'secp384r1', identifier: '06052b81040022' },
  'rsa-2048': { kind: 'rsa' },
  'rsa-3072': { kind: 'rsa' },
  'rsa-4096': { kind: 'rsa' },
  'bls12-381': null,
  bn254: null,
}

/** Algorithms whose keys Ethereum's keystores hold, with the version they have there. */
export const keystoreVersions: { readonly [name in AlgorithmName]?: 3 | 4 } = {
  secp256k1: 3,
  'bls12-381': 4,
  bn254: 3,
}

/** Whether PEM and JWK have keys of this algorithm. */
export function hasPem(algorithm: AlgorithmName): boolean {
  return kinds[algorithm] !== null
}

/** Up to the seed (RFC 8410 §7). */
const ed25519Private = fromHex('302e020100300506032b657004220420')
const ed25519Public = fromHex('302a300506032b6570032100')

/**
 * The private key in a text, in the form of the algorithm's row: hex; PEM of PKCS#8, SEC1 or PKCS#1; JWK; a keystore of
 * Ethereum, which needs its password. `RangeError` saying what is wrong, never what the text holds.
 */
export function readPrivateKey(algorithm: AlgorithmName, text: string, password?: string): Uint8Array {
  const { secretLength } = factsOf(algorithm)
  const trimmed = text.trim()
  if (/^(0x)?[0-9a-fA-F]+$/.test(trimmed)) {
    const bytes = fromHex(trimmed.replace(/^0x/i, ''))
    if (bytes.length === secretLength) return bytes
    if (kinds[algorithm]?.kind === 'rsa' && bytes.length < secretLength) return padded(bytes, secretLength)
    throw new RangeError(`private key: ${algorithm} has ${secretLength} bytes in hex, and there are ${bytes.length}`)
  }
  if (trimmed.startsWith('-----BEGIN '))
    return bytesOf(
      algorithm,
      opened(() => createPrivateKey(trimmed)),
    )
  const json = parseJson(trimmed)
  if (typeof json['kty'] === 'string')
    return bytesOf(
      algorithm,
      opened(() => createPrivateKey({ key: json as JsonWebKey, format: 'jwk' })),
    )
  const version = keystoreVersions[algorithm]
  // EigenLayer's tools leave the version out.
  const stated = json['version'] ?? (algorithm === 'bn254' ? 3 : undefined)
  if (version === undefined || stated !== version)
    throw new RangeError(`private key: neither hex, PEM, JWK nor a keystore that ${algorithm} has`)
  if (password === undefined) throw new RangeError('private key: the keystore needs its password')
  const bytes = openKeystore({ ...json, version }, password)
  if (bytes.length !== secretLength) throw new RangeError('private key: the keystore holds none of this length')
  return bytes
}

/** A private key as text, ending in a line feed. `RangeError` for a format that the algorithm does not have. */
export function writePrivateKey(
  algorithm: AlgorithmName,
  privateKey: Uint8Array,
  format: PrivateKeyFormat,
  options: { readonly password?: string; readonly publicKey?: string; readonly address?: string } = {},
): string {
  assertBytes(privateKey, 'privateKey', factsOf(algorithm).secretLength)
  if (format === 'hex') return `${Buffer.from(privateKey).toString('hex')}\n`
  if (format === 'keystore') {
    const version = keystoreVersions[algorithm]
    if (version === undefined) throw new RangeError(`format: ${algorithm} has no keystore`)
    if (options.password === undefined) throw new RangeError('password: a keystore needs one')
    return `${JSON.stringify(sealKeystore(version, privateKey, options.password, options), null, 2)}\n`
  }
  const key = privateObject(algorithm, privateKey)
  if (format === 'pem') return String(key.export({ format: 'pem', type: 'pkcs8' }))
  return `${JSON.stringify(key.export({ format: 'jwk' }))}\n`
}

/** A public key (lower-case hex, as the API has it) as text, ending in a line feed. `RangeError` as for private keys. */
export function writePublicKey(algorithm: AlgorithmName, publicKey: string, format: PublicKeyFormat): string {
  if (format === 'hex') return `${publicKey}\n`
  const key = publicObject(algorithm, fromHex(publicKey))
  if (format === 'pem') return String(key.export({ format: 'pem', type: 'spki' }))
  return `${JSON.stringify(key.export({ format: 'jwk' }))}\n`
}

function kindOf(algorithm: AlgorithmName): NonNullable<Kind> {
  const kind = kinds[algorithm]
  if (kind === null) throw new RangeError(`format: neither PEM nor JWK has keys of ${algorithm}`)
  return kind
}

function privateObject(algorithm: AlgorithmName, secret: Uint8Array): KeyObject {
  const kind = kindOf(algorithm)
  let der: Uint8Array
  if (kind.kind === 'ed25519') der = concat(ed25519Private, secret)
  else if (kind.kind === 'rsa') der = secret.slice(0, 4 + (((secret[2] as number) << 8) | (secret[3] as number)))
  else {
    const curve = fromHex(kind.identifier)
    const tail = concat(Uint8Array.of(0xa0, curve.length), curve)
    // `ECPrivateKey` (RFC 5915 §3): OpenSSL computes the public key.
    const head = Uint8Array.of(0x30, 5 + secret.length + tail.length, 2, 1, 1, 4, secret.length)
    der = concat(head, secret, tail)
  }
  try {
    const type = kind.kind === 'ec' ? 'sec1' : 'pkcs8'
    return opened(() => createPrivateKey({ key: Buffer.from(der.buffer), format: 'der', type }))
  } finally {
    der.fill(0)
  }
}

function publicObject(algorithm: AlgorithmName, publicKey: Uint8Array): KeyObject {
  const kind = kindOf(algorithm)
  let der = publicKey
  if (kind.kind === 'ed25519') der = concat(ed25519Public, publicKey)
  if (kind.kind === 'ec') {
    // An x-only key stands for the point with even Y (BIP-340).
    const point = publicKey.length % 2 === 0 ? concat(Uint8Array.of(2), publicKey) : publicKey
    const curve = fromHex(kind.identifier)
    const names = concat(fromHex('06072a8648ce3d0201'), curve)
    const body = concat(Uint8Array.of(0x30, names.length), names, Uint8Array.of(3, 1 + point.length, 0), point)
    der = concat(Uint8Array.of(0x30, body.length), body)
  }
  return opened(() => createPublicKey({ key: Buffer.from(der), format: 'der', type: 'spki' }))
}

/** The bytes of a key object, if it is one of this algorithm. */
function bytesOf(algorithm: AlgorithmName, key: KeyObject): Uint8Array {
  const { secretLength } = factsOf(algorithm)
  const kind = kindOf(algorithm)
  const other = new RangeError(`private key: it is none of ${algorithm}`)
  if (key.asymmetricKeyType !== kind.kind) throw other
  if (kind.kind === 'rsa') {
    const der = key.export({ format: 'der', type: 'pkcs8' })
    const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
    if (`rsa-${modulusLength}` !== algorithm) throw other
    if (publicExponent !== 65537n) throw new RangeError('private key: its public exponent is not 65537')
    return padded(der, secretLength)
  }
  if (kind.kind === 'ec' && key.asymmetricKeyDetails?.namedCurve !== kind.curve) throw other
  const bytes = fromBase64url(key.export({ format: 'jwk' }).d ?? '')
  return concat(new Uint8Array(secretLength - bytes.length), bytes)
}

function padded(bytes: Uint8Array, length: number): Uint8Array {
  const whole = new Uint8Array(length)
  whole.set(bytes)
  bytes.fill(0)
  return whole
}

/** Without the cause: what a library says about a key may hold some of it. */
function opened(open: () => KeyObject): KeyObject {
  try {
    return open()
  } catch {
    throw new RangeError('key: it cannot be read')
  }
}

function parseJson(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {}
  throw new RangeError('private key: neither hex, PEM nor JSON')
}
