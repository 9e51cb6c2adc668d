import { hmac } from '@noble/hashes/hmac.js'
import { ripemd160 as nobleRipemd160 } from '@noble/hashes/legacy.js'
import { sha256 as nobleSha256, sha384 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { HashName } from './algorithm-facts.ts'

/** SHA-256 (FIPS 180-4) of the parts one after the other; 32 bytes. Plain JavaScript: for one that is fast, `hash-native`. */
export function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return nobleSha256(parts[0] as Uint8Array)
  const hash = nobleSha256.create()
  for (const part of parts) hash.update(part)
  return hash.digest()
}

/** Keccak-256 as Ethereum uses it, with the padding from before FIPS 202; 32 bytes. Not SHA3-256. */
export function keccak256(bytes: Uint8Array): Uint8Array {
  return keccak_256(bytes)
}

/** The digest by the hash of this name. */
export function hashWith(name: HashName, bytes: Uint8Array): Uint8Array {
  return hashes[name](bytes)
}

const hashes: { readonly [name in HashName]: (bytes: Uint8Array) => Uint8Array } = {
  sha256: nobleSha256,
  sha384,
  keccak256: keccak_256,
}

/** RIPEMD-160; 20 bytes. For addresses only. */
export function ripemd160(bytes: Uint8Array): Uint8Array {
  return nobleRipemd160(bytes)
}

/** HMAC-SHA-256 (RFC 2104) of the parts one after the other; 32 bytes. */
export function hmacSha256(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const mac = hmac.create(nobleSha256, key)
  for (const part of parts) mac.update(part)
  return mac.digest()
}
