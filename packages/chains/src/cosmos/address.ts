import { assertBytes, concat, utf8 } from '@popsigner/crypto/bytes'
import { sha256 } from '@popsigner/crypto/hash'
import { bech32 } from '@scure/base'

/** What the SDK takes (types/bech32): longer than BIP-173 allows, since accounts have up to 255 bytes. */
const maxLength = 1023

/** Prefix and account of an address in lower case. `RangeError` for any other text. */
export function decodeAddress(text: string): { readonly prefix: string; readonly account: Uint8Array } {
  if (text !== text.toLowerCase()) throw new RangeError('address: has upper-case letters')
  let decoded: { prefix: string; bytes: Uint8Array }
  try {
    const { prefix, words } = bech32.decode(text as `${string}1${string}`, maxLength)
    decoded = { prefix, bytes: bech32.fromWords(words) }
  } catch {
    throw new RangeError('address: not bech32')
  }
  if (decoded.bytes.length === 0 || decoded.bytes.length > 255)
    throw new RangeError('address: no account has this length')
  return { prefix: decoded.prefix, account: decoded.bytes }
}

/** The text of an account of any length. */
export function encodeAddress(account: Uint8Array, prefix: string): string {
  return bech32.encode(prefix, bech32.toWords(account), maxLength)
}

/** The account of a module such as `gov`, which has no key (x/auth/types.NewModuleAddress). */
export function moduleAddress(name: string, prefix: string): string {
  return encodeAddress(sha256(utf8(name)).subarray(0, 20), prefix)
}

/** The account of a threshold key: SHA-256 of its amino bytes, the first 20 (ADR-028 leaves it as it was before). */
export function multisigAccount(threshold: number, publicKeys: readonly Uint8Array[]): Uint8Array {
  const members = publicKeys.map((key) => {
    assertBytes(key, 'publicKey', 33)
    return concat(Uint8Array.of(0x12, secp256k1Prefix.length + key.length), secp256k1Prefix, key)
  })
  return sha256(concat(multisigPrefix, Uint8Array.of(0x08, ...varint(threshold)), ...members)).subarray(0, 20)
}

/** Amino's names of the two kinds of key, and the length of 33 bytes (crypto/keys of the SDK, amino registration). */
const multisigPrefix = Uint8Array.of(0x22, 0xc1, 0xf7, 0xe2)
const secp256k1Prefix = Uint8Array.of(0xeb, 0x5a, 0xe9, 0x87, 33)

function varint(value: number): readonly number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)]
}
