/**
 * Ethereum's encrypted keystores: version 3 (Web3 Secret Storage) and version 4 (EIP-2335). For Node alone. Opened are scrypt and
 * PBKDF2 with HMAC-SHA-256; written is scrypt with 2^18, 8, 1.
 */
import { createCipheriv, createDecipheriv, pbkdf2Sync, randomBytes, randomUUID, scryptSync } from 'node:crypto'
import { concat, equal, fromHex, hex } from '@popsigner/crypto/bytes'
import { keccak256, sha256 } from '@popsigner/crypto/hash'

type Json = Readonly<Record<string, unknown>>

/** Memory that deriving a key may take: a keystore that asks for more is refused. */
const maxMemoryBytes = 1 << 30
const maxIterations = 10_000_000

/** The secret in a keystore. `RangeError` for another form, and one without detail where the password is not its. */
export function openKeystore(keystore: Json, password: string): Uint8Array {
  const { version } = keystore
  const crypto = part(keystore, 'crypto' in keystore ? 'crypto' : 'Crypto')
  const [cipher, kdf, sum] =
    version === 3
      ? [
          { function: crypto['cipher'], params: crypto['cipherparams'], message: crypto['ciphertext'] },
          { function: crypto['kdf'], params: crypto['kdfparams'] },
          crypto['mac'],
        ]
      : [part(crypto, 'cipher'), part(crypto, 'kdf'), part(crypto, 'checksum')['message']]
  if (cipher['function'] !== 'aes-128-ctr') throw new RangeError('keystore: of another cipher than aes-128-ctr')
  const iv = bytes(part(cipher, 'params'), 'iv')
  const ciphertext = bytes(cipher, 'message')
  const derived = derive(kdf, version === 3 ? password.normalize('NFKC') : preparePassword(password))
  try {
    const tail = concat(derived.subarray(16, 32), ciphertext)
    const expected = version === 3 ? keccak256(tail) : sha256(tail)
    if (!equal(expected, typeof sum === 'string' ? fromHex(sum) : new Uint8Array(0)))
      throw new RangeError('keystore: it does not open with this password')
    const decipher = createDecipheriv('aes-128-ctr', derived.subarray(0, 16), iv)
    return new Uint8Array(decipher.update(ciphertext))
  } finally {
    derived.fill(0)
  }
}

/** A keystore of this secret. `publicKey` (hex) is named in version 4, `address` in version 3. */
export function sealKeystore(
  version: 3 | 4,
  secret: Uint8Array,
  password: string,
  { publicKey, address }: { readonly publicKey?: string; readonly address?: string } = {},
): Json {
  const params = { dklen: 32, n: 262_144, p: 1, r: 8, salt: randomBytes(32).toString('hex') }
  const iv = randomBytes(16)
  const text = version === 3 ? password.normalize('NFKC') : preparePassword(password)
  const derived = derive({ function: 'scrypt', params }, text)
  try {
    const cipher = createCipheriv('aes-128-ctr', derived.subarray(0, 16), iv)
    const message = new Uint8Array(cipher.update(secret))
    const tail = concat(derived.subarray(16, 32), message)
    if (version === 3)
      return {
        ...(address !== undefined && { address: address.replace(/^0x/, '').toLowerCase() }),
        crypto: {
          cipher: 'aes-128-ctr',
          cipherparams: { iv: iv.toString('hex') },
          ciphertext: hex(message),
          kdf: 'scrypt',
          kdfparams: params,
          mac: hex(keccak256(tail)),
        },
        id: randomUUID(),
        version,
      }
    return {
      crypto: {
        kdf: { function: 'scrypt', params, message: '' },
        checksum: { function: 'sha256', params: {}, message: hex(sha256(tail)) },
        cipher: { function: 'aes-128-ctr', params: { iv: iv.toString('hex') }, message: hex(message) },
      },
      ...(publicKey !== undefined && { pubkey: publicKey }),
      path: '',
      uuid: randomUUID(),
      version,
    }
  } finally {
    derived.fill(0)
  }
}

/** EIP-2335 §Password requirements: NFKD, without control codes. */
function preparePassword(password: string): string {
  return password.normalize('NFKD').replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, '')
}

function derive(kdf: Json, password: string): Buffer {
  const params = part(kdf, 'params')
  const salt = bytes(params, 'salt')
  if (number(params, 'dklen') !== 32) throw new RangeError('keystore: its derived key has not 32 bytes')
  if (kdf['function'] === 'scrypt') {
    const [N, r, p] = [number(params, 'n'), number(params, 'r'), number(params, 'p')]
    if (128 * N * r * p > maxMemoryBytes) throw new RangeError('keystore: its scrypt parameters are too large')
    try {
      return scryptSync(password, salt, 32, { N, r, p, maxmem: 2 * maxMemoryBytes })
    } catch {
      throw new RangeError('keystore: its scrypt parameters are none')
    }
  }
  const iterations = number(params, 'c')
  if (kdf['function'] !== 'pbkdf2' || params['prf'] !== 'hmac-sha256')
    throw new RangeError('keystore: its key is derived neither by scrypt nor by PBKDF2 with HMAC-SHA-256')
  if (iterations > maxIterations) throw new RangeError('keystore: too many iterations')
  return pbkdf2Sync(password, salt, iterations, 32, 'sha256')
}

function part(json: Json, name: string): Json {
  const value = json[name]
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new RangeError(`keystore: ${name} is missing`)
  return value as Json
}

function bytes(json: Json, name: string): Uint8Array {
  const value = json[name]
  if (typeof value !== 'string') throw new RangeError(`keystore: ${name} is missing`)
  return fromHex(value)
}

function number(json: Json, name: string): number {
  const value = json[name]
  if (!Number.isSafeInteger(value) || (value as number) < 1) throw new RangeError(`keystore: ${name} is no number`)
  return value as number
}
