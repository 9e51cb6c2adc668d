import { secp256k1 } from '@noble/curves/secp256k1.js'
import { bech32 } from '@scure/base'
import { assertBytes, hex, utf8 } from './bytes.ts'
import { keccak256, ripemd160, sha256 } from './hash.ts'

/**
 * Letters and digits behind a letter. BIP-173 §Specification allows 90 characters in all, of which separator, 20 bytes and
 * checksum take 39.
 */
const cosmosPrefix = /^[a-z][a-z0-9]{0,50}$/

/** The Cosmos SDK address of a secp256k1 public key (33 bytes): bech32 of RIPEMD-160 of SHA-256. `RangeError` for a bad prefix. */
export function cosmosAddress(publicKey: Uint8Array, prefix = 'celestia'): string {
  assertBytes(publicKey, 'publicKey', 33)
  return encodeCosmosAddress(ripemd160(sha256(publicKey)), prefix)
}

/** The text of a Cosmos SDK account (20 bytes): bech32. `RangeError` for a bad prefix. */
export function encodeCosmosAddress(account: Uint8Array, prefix = 'celestia'): string {
  assertBytes(account, 'account', 20)
  if (!isCosmosPrefix(prefix)) throw new RangeError('prefix: expected lower-case letters and digits, a letter first')
  return bech32.encode(prefix, bech32.toWords(account), 90)
}

/** Whether an address can begin so: lower-case letters and digits, a letter first, at most 51. */
export function isCosmosPrefix(text: string): boolean {
  return cosmosPrefix.test(text)
}

/** The Ethereum address of a secp256k1 public key (33 bytes), in mixed case (EIP-55). `RangeError` where it is no point. */
export function ethereumAddress(publicKey: Uint8Array): string {
  assertBytes(publicKey, 'publicKey', 33)
  return checksumAddress(keccak256(uncompressed(publicKey).subarray(1)).subarray(12))
}

/** The text of an Ethereum address (20 bytes) with its checksum in the case of the letters (EIP-55). */
export function checksumAddress(address: Uint8Array): string {
  assertBytes(address, 'address', 20)
  const digits = hex(address)
  const hash = hex(keccak256(utf8(digits)))
  let text = '0x'
  for (let i = 0; i < digits.length; i++)
    text += hash.charAt(i) >= '8' ? digits.charAt(i).toUpperCase() : digits.charAt(i)
  return text
}

function uncompressed(publicKey: Uint8Array): Uint8Array {
  try {
    return secp256k1.Point.fromBytes(publicKey).toBytes(false)
  } catch {
    throw new RangeError('publicKey: not a point of secp256k1')
  }
}
