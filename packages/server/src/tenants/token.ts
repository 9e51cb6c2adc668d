import { randomBytes, hash as sha256, timingSafeEqual } from 'node:crypto'
import { crc32 } from 'node:zlib'
import { hash as argon2, verify as verifyArgon2 } from '@node-rs/argon2'
import { base32crockford } from '@scure/base'

/** What every API key begins with, so that scanners for leaked secrets find it. */
export const tokenPrefix = 'psk_live_'

const form = /^psk_live_[0-9a-hjkmnp-tv-z]{84}$/

/** The parts of an API key: id (16 bytes), secret (32 bytes), CRC-32 of both (4 bytes), in 84 digits of base 32. */
export interface Token {
  readonly id: Uint8Array
  readonly secret: Uint8Array
}

/** How an API key is stored. */
export interface StoredSecret {
  /** Argon2id over the secret in hex, PHC string. */
  readonly hash: string
  /** The first 8 bytes of SHA-256(secret): a wrong secret is refused by it before Argon2id is run. */
  readonly fingerprint: Buffer
}

/** OWASP's second choice for Argon2id: 19 MiB, two passes. The secret has 256 random bits; the cost is for the form. */
const argon2Options = { algorithm: 2, memoryCost: 19_456, timeCost: 2, parallelism: 1 } as const

/** A new API key with this id (16 bytes): the text to hand out once, and what to store. */
export async function createToken(id: Uint8Array): Promise<{ text: string; stored: StoredSecret }> {
  const secret = randomBytes(32)
  const body = Buffer.concat([id, secret])
  const sum = Buffer.alloc(4)
  sum.writeUInt32BE(crc32(body))
  const text = tokenPrefix + base32crockford.encode(Buffer.concat([body, sum])).toLowerCase()
  const stored = { hash: await argon2(secret.toString('hex'), argon2Options), fingerprint: fingerprintOf(secret) }
  secret.fill(0)
  body.fill(0)
  return { text, stored }
}

/** The parts of an API key, or null when the text is not one: form or checksum wrong. No look-up is needed to know that. */
export function parseToken(text: string): Token | null {
  if (!form.test(text)) return null
  let bytes: Uint8Array
  try {
    bytes = base32crockford.decode(text.slice(tokenPrefix.length).toUpperCase())
  } catch {
    return null
  }
  const body = bytes.subarray(0, 48)
  if (Buffer.from(bytes.buffer, bytes.byteOffset + 48, 4).readUInt32BE() !== crc32(body)) return null
  return { id: body.subarray(0, 16), secret: body.subarray(16) }
}

/** Whether the secret is the stored one. Argon2id runs on libuv's threads, and only when the fingerprint fits. */
export async function checkSecret(secret: Uint8Array, stored: StoredSecret): Promise<boolean> {
  if (!timingSafeEqual(fingerprintOf(secret), stored.fingerprint)) return false
  return verifyArgon2(stored.hash, Buffer.from(secret).toString('hex'))
}

/** The first 8 bytes of SHA-256 of a secret. */
export function fingerprintOf(secret: Uint8Array): Buffer {
  return sha256('sha256', secret, 'buffer').subarray(0, 8)
}
