import { concat, equal, fromHex, hex } from './bytes.ts'
import { sha256 } from './hash.ts'
import type { PlainAlgorithm } from './plain-algorithms.ts'

/**
 * RSA in plain JavaScript (RFC 8017): verification of PSS and PKCS#1 v1.5 with SHA-256, and the public key of a private key.
 * Public keys are `SubjectPublicKeyInfo` with the exponent 65537, so all but the modulus is the same in each.
 */

/** 1.2.840.113549.1.1.1 with NULL, `rsaEncryption` (RFC 8017 §A.1). */
const rsaEncryption = fromHex('300d06092a864886f70d0101010500')
/** The exponent as a DER integer. */
const exponent = fromHex('0203010001')
/** `DigestInfo` of SHA-256 up to the digest (§9.2 note 1). */
const digestInfo = fromHex('3031300d060960864801650304020105000420')
const digestLength = 32
const saltLength = 32

/** The row of RSA keys of so many bits. */
export function createPlainRsa(bits: number): PlainAlgorithm {
  const size = bits / 8
  const head = infoHead(size)
  return {
    verify(signature, digest, publicKey, scheme) {
      const modulus = publicKey.subarray(head.length, head.length + size)
      if (!equal(publicKey.subarray(0, head.length), head) || ((modulus[0] as number) & 0x80) === 0) return false
      if (!equal(publicKey.subarray(head.length + size), exponent)) return false
      const n = numberOf(modulus)
      const s = numberOf(signature)
      if (s >= n || (n & 1n) === 0n) return false
      const encoded = bytesOf(toExponent(s, n), size)
      return scheme === 'pss' ? isPss(encoded, digest) : equal(encoded, pkcs1(digest, size))
    },
    publicKey(secret) {
      const { modulus, firstPrime, secondPrime } = readPrivateKey(secret)
      if (modulus.length !== size + 1 || numberOf(firstPrime) * numberOf(secondPrime) !== numberOf(modulus))
        throw new RangeError('private key: not of this size, or its parts do not belong together')
      return concat(head, modulus.subarray(1), exponent)
    },
  }
}

/** `SubjectPublicKeyInfo` up to the modulus, which has its highest bit set. */
function infoHead(size: number): Uint8Array {
  const integer = concat(header(2, size + 1), Uint8Array.of(0))
  const key = integer.length + size + exponent.length
  const text = concat(header(0x30, key), integer)
  const bitString = concat(header(3, 1 + text.length + size + exponent.length), Uint8Array.of(0), text)
  return concat(
    header(0x30, rsaEncryption.length + bitString.length + size + exponent.length),
    rsaEncryption,
    bitString,
  )
}

function header(tag: number, length: number): Uint8Array {
  return Uint8Array.of(tag, 0x82, length >> 8, length & 255)
}

/** s^65537 mod n. */
function toExponent(s: bigint, n: bigint): bigint {
  let power = s
  for (let i = 0; i < 16; i++) power = (power * power) % n
  return (power * s) % n
}

/** EMSA-PSS-VERIFY (§9.1.2) with MGF1; the modulus has a whole number of bytes. */
function isPss(encoded: Uint8Array, digest: Uint8Array): boolean {
  const maskedLength = encoded.length - digestLength - 1
  const hash = encoded.subarray(maskedLength, maskedLength + digestLength)
  if (encoded.at(-1) !== 0xbc || ((encoded[0] as number) & 0x80) !== 0) return false
  const block = new Uint8Array(maskedLength)
  for (let at = 0, counter = 0; at < maskedLength; at += digestLength, counter++) {
    const mask = sha256(hash, Uint8Array.of(0, 0, 0, counter))
    for (let i = at; i < Math.min(at + digestLength, maskedLength); i++)
      block[i] = (encoded[i] as number) ^ (mask[i - at] as number)
  }
  block[0] = (block[0] as number) & 0x7f
  const padding = maskedLength - saltLength - 1
  if (block[padding] !== 1 || block.subarray(0, padding).some((byte) => byte !== 0)) return false
  return equal(hash, sha256(new Uint8Array(8), digest, block.subarray(padding + 1)))
}

/** EMSA-PKCS1-v1_5-ENCODE (§9.2). */
function pkcs1(digest: Uint8Array, size: number): Uint8Array {
  const filling = new Uint8Array(size - 3 - digestInfo.length - digestLength).fill(0xff)
  return concat(Uint8Array.of(0, 1), filling, Uint8Array.of(0), digestInfo, digest)
}

/** The parts of a private key in PKCS#8 (RFC 5208 §5, RFC 8017 §A.1.2), zeros behind it left out. `RangeError` for others. */
function readPrivateKey(bytes: Uint8Array): { modulus: Uint8Array; firstPrime: Uint8Array; secondPrime: Uint8Array } {
  const outer = new DerReader(new DerReader(bytes).read(0x30))
  if (hex(outer.read(2)) !== '00') throw new RangeError('private key: of another version')
  if (!equal(outer.read(0x30), rsaEncryption.subarray(2))) throw new RangeError('private key: of another algorithm')
  const key = new DerReader(new DerReader(outer.read(4)).read(0x30))
  if (hex(key.read(2)) !== '00') throw new RangeError('private key: of another version')
  const modulus = key.read(2)
  if (!equal(key.read(2), exponent.subarray(2))) throw new RangeError('private key: of another exponent')
  key.read(2)
  return { modulus, firstPrime: key.read(2), secondPrime: key.read(2) }
}

/** Reads values of DER one after the other. */
class DerReader {
  readonly #bytes: Uint8Array
  #at = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** The content of the next value, which must have this tag. */
  read(tag: number): Uint8Array {
    const bytes = this.#bytes
    let length = bytes[this.#at + 1] ?? 0
    let start = this.#at + 2
    if (length > 0x80) {
      const digits = length & 0x7f
      length = Number(numberOf(bytes.subarray(start, start + digits)))
      start += digits
    }
    if (bytes[this.#at] !== tag || length > bytes.length - start) throw new RangeError('der: malformed')
    this.#at = start + length
    return bytes.subarray(start, start + length)
  }
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(`0x${hex(bytes)}`)
}

function bytesOf(value: bigint, length: number): Uint8Array {
  return fromHex(value.toString(16).padStart(2 * length, '0'))
}
