import { checksumAddress } from '@popsigner/crypto/address'
import { fromHex, hex } from '@popsigner/crypto/bytes'

/** Lower-case hex behind `0x`. */
export function hex0x(bytes: Uint8Array): string {
  return `0x${hex(bytes)}`
}

/** The bytes of hex behind `0x`, in either case; `null` for any other text. */
export function fromHex0x(text: string): Uint8Array | null {
  if (!text.startsWith('0x')) return null
  try {
    return fromHex(text.slice(2))
  } catch {
    return null
  }
}

/** A whole number as its shortest big-endian bytes: none for zero. */
export function minimalBytes(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array(0)
  const digits = value.toString(16)
  return fromHex(digits.length % 2 === 0 ? digits : `0${digits}`)
}

/** A whole number as 32 big-endian bytes; a negative one in two's complement. */
export function word(value: bigint): Uint8Array {
  return fromHex(BigInt.asUintN(256, value).toString(16).padStart(64, '0'))
}

/** The whole number of big-endian bytes; zero for none. */
export function toBigInt(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(hex0x(bytes))
}

/**
 * An address in mixed case (EIP-55) from 20 bytes of hex behind `0x`; `null` for any other text, also where letters stand in
 * both cases and are not the checksum.
 */
export function parseAddress(text: string): string | null {
  const bytes = text.length === 42 ? fromHex0x(text) : null
  if (bytes === null) return null
  const address = checksumAddress(bytes)
  const digits = text.slice(2)
  const oneCase = digits === digits.toLowerCase() || digits === digits.toUpperCase()
  return oneCase || text === address ? address : null
}

/** The 20 bytes of an address as `parseAddress` answers it. */
export function addressBytes(address: string): Uint8Array {
  return fromHex(address.slice(2))
}
