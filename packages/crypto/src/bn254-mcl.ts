import { createRequire } from 'node:module'
import { fromHex } from './bytes.ts'
import { kernelSource } from './entropy.ts'

/**
 * BN254 by mcl, as WebAssembly: points in the bytes of `bn254-plain.ts`, products with a secret, pairings.
 *
 * A secret k is split anew for each product into r and k − r, with r from the kernel, and each half is multiplied by the function
 * that mcl has for secrets: no two products have the same scalars. The secret lies in the WebAssembly's memory, which is not
 * locked, while a call runs; before the call returns, its working place and its stack are wiped.
 */

/** Numbers of the package's that lie in memory: a coordinate, a scalar, a point of G1 and of G2 (x, y, z), what pairing gives. */
const lengths = { fp: 48, fr: 32, g1: 144, g2: 288, gt: 576 }
/** Wiped below the top of the stack; no call here goes deeper, which a test measures. */
const stackLength = 65_536
/** mcl's name for this curve: `BN_SNARK1`. */
const curve = 4

/** p, the modulus of the coordinates, and r, the order of the groups (EIP-196). */
const modulus = fromHex('30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd47')
const order = fromHex('30644e72e131a029b85045b68181585d2833e84879b9709143e1f593f0000001')
/** The points that generate the groups (EIP-197). */
const baseG1 = fromHex(`${'1'.padStart(64, '0')}${'2'.padStart(64, '0')}`)
const baseG2 = fromHex(
  '198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2' +
    '1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed' +
    '090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b' +
    '12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa',
)

/** The functions of the WebAssembly that are used here. Arguments are places in its memory; a result comes first. */
interface Mcl {
  readonly wasmMemory: { readonly buffer: ArrayBuffer }
  stackSave(): number
  _malloc(length: number): number
  _mclBnFr_setBigEndianMod(to: number, bytes: number, length: number): number
  _mclBnFr_sub(to: number, a: number, b: number): void
  _mclBnFp_setBigEndianMod(to: number, bytes: number, length: number): number
  _mclBnFp_setInt32(to: number, value: number): void
  _mclBnFp_add(to: number, a: number, b: number): void
  _mclBnFp_mul(to: number, a: number, b: number): void
  /** 0 where there is a root. */
  _mclBnFp_squareRoot(to: number, a: number): number
  /** Little-endian. */
  _mclBnFp_serialize(to: number, length: number, a: number): number
  _mclBnG1_isValid(a: number): number
  _mclBnG1_neg(to: number, a: number): void
  _mclBnG1_add(to: number, a: number, b: number): void
  _mclBnG1_normalize(to: number, a: number): void
  _mclBnG1_mulCT(to: number, a: number, scalar: number): void
  /** In the group, not only on the curve. */
  _mclBnG2_isValid(a: number): number
  _mclBnG2_add(to: number, a: number, b: number): void
  _mclBnG2_normalize(to: number, a: number): void
  _mclBnG2_mulCT(to: number, a: number, scalar: number): void
  _mclBn_millerLoopVec(to: number, g1: number, g2: number, count: number): void
  _mclBn_finalExp(to: number, a: number): void
  _mclBnGT_isOne(a: number): number
}

const require = createRequire(import.meta.url)

/** mcl, ready for this curve. */
export const mcl: Mcl = await load()

/** Where things lie. The first four are two pairs of points as `isPaired` takes them. */
const place = {
  multiple: 0,
  point: 0,
  base: 0,
  key: 0,
  part: 0,
  pairing: 0,
  scalar: 0,
  blind: 0,
  bytes: 0,
  one: 0,
  three: 0,
  square: 0,
  root: 0,
}
const placeLength = layOut()

/** Whether the bytes are a private key: 32, not zero, below the order. */
export function isMclSecret(secret: Uint8Array): boolean {
  return isBelow(secret, order) && secret.reduce((all, byte) => all | byte, 0) !== 0
}

/** The public key of a private key, 192 bytes. */
export function mclPublicKey(secret: Uint8Array): Uint8Array {
  return working((memory) => {
    const publicKey = new Uint8Array(192)
    writePoint(memory, place.point, baseG1)
    multiply(memory, 'G1', secret, place.multiple, place.point)
    publicKey.set(readPoint(memory, 'G1', place.multiple))
    writePoint(memory, place.base, baseG2)
    multiply(memory, 'G2', secret, place.key, place.base)
    publicKey.set(readPoint(memory, 'G2', place.key), 64)
    return publicKey
  })
}

/** The product of a private key and the point of the input, 64 bytes. `RangeError` for a point that is none. */
export function mclProduct(input: Uint8Array, isDigest: boolean, secret: Uint8Array): Uint8Array {
  return working((memory) => {
    // Before the secret is anywhere near: its product with what is no point of the curve would give it away.
    if (!loadInput(memory, input, isDigest)) throw new RangeError('message: not a point of the curve')
    multiply(memory, 'G1', secret, place.multiple, place.point)
    return readPoint(memory, 'G1', place.multiple)
  })
}

/** Whether the bytes are a public key: both points in their groups, not at infinity, and of one private key. */
export function isMclPublicKey(publicKey: Uint8Array): boolean {
  return working((memory) => loadKey(memory, publicKey))
}

/** Whether the signature, 64 bytes, is the product of the input's point and the private key. */
export function verifyMcl(signature: Uint8Array, input: Uint8Array, isDigest: boolean, publicKey: Uint8Array): boolean {
  return working(
    (memory) =>
      loadKey(memory, publicKey) &&
      loadG1(memory, place.multiple, signature) &&
      loadInput(memory, input, isDigest) &&
      isPaired(memory),
  )
}

/** Runs a job over mcl's memory, which it does not enlarge, and wipes what it can have left there. */
function working<T>(job: (memory: Uint8Array) => T): T {
  const memory = new Uint8Array(mcl.wasmMemory.buffer)
  try {
    return job(memory)
  } finally {
    const top = mcl.stackSave()
    memory.fill(0, top - stackLength, top)
    memory.fill(0, place.multiple, place.multiple + placeLength)
  }
}

/** to = secret · from, as r · from + (secret − r) · from. */
function multiply(memory: Uint8Array, group: 'G1' | 'G2', secret: Uint8Array, to: number, from: number): void {
  const { bytes, scalar, blind, part } = place
  memory.set(secret, bytes)
  mcl._mclBnFr_setBigEndianMod(scalar, bytes, 32)
  // 16 bytes more than the order has, so that what is left of them is as likely as anything else.
  kernelSource(memory.subarray(bytes, bytes + 48))
  mcl._mclBnFr_setBigEndianMod(blind, bytes, 48)
  mcl._mclBnFr_sub(scalar, scalar, blind)
  mcl[`_mclBn${group}_mulCT`](part, from, blind)
  mcl[`_mclBn${group}_mulCT`](to, from, scalar)
  mcl[`_mclBn${group}_add`](to, to, part)
}

/** The input's point into `point`. `false` where it is none. */
function loadInput(memory: Uint8Array, input: Uint8Array, isDigest: boolean): boolean {
  const { point: x, one, three, square, root } = place
  if (!isDigest) return loadG1(memory, x, input)
  writeCoordinate(memory, x, input)
  mcl._mclBnFp_setInt32(one, 1)
  mcl._mclBnFp_setInt32(three, 3)
  for (;;) {
    mcl._mclBnFp_mul(square, x, x)
    mcl._mclBnFp_mul(square, square, x)
    mcl._mclBnFp_add(square, square, three)
    // Of the two, mcl gives the root that `BN254.sol` takes: square^((p + 1) / 4).
    if (mcl._mclBnFp_squareRoot(root, square) === 0) break
    mcl._mclBnFp_add(x, x, one)
  }
  memory.copyWithin(x + lengths.fp, root, root + lengths.fp)
  mcl._mclBnFp_setInt32(x + 2 * lengths.fp, 1)
  return true
}

/** A point of G1 from its bytes. The cofactor is 1: what is on the curve is in the group. */
function loadG1(memory: Uint8Array, to: number, bytes: Uint8Array): boolean {
  return writePoint(memory, to, bytes) && mcl._mclBnG1_isValid(to) === 1
}

/** The point of G2 into `key`, once both are found to be of one private key. */
function loadKey(memory: Uint8Array, publicKey: Uint8Array): boolean {
  const { multiple, point, key } = place
  if (!loadG1(memory, multiple, publicKey.subarray(0, 64))) return false
  if (!writePoint(memory, key, publicKey.subarray(64))) return false
  if (mcl._mclBnG2_isValid(key) !== 1) return false
  writePoint(memory, point, baseG1)
  return isPaired(memory)
}

/** e(−multiple, base) · e(point, key) = 1. */
function isPaired(memory: Uint8Array): boolean {
  const { multiple, base, pairing } = place
  writePoint(memory, base, baseG2)
  mcl._mclBnG1_neg(multiple, multiple)
  mcl._mclBn_millerLoopVec(pairing, multiple, base, 2)
  mcl._mclBn_finalExp(pairing, pairing)
  return mcl._mclBnGT_isOne(pairing) === 1
}

/** A point from its bytes, with z = 1, not yet known to be on the curve. `false` where a coordinate is not below the modulus. */
function writePoint(memory: Uint8Array, to: number, bytes: Uint8Array): boolean {
  const parts = partsOf(bytes.length === 64 ? 'G1' : 'G2')
  for (const [i, part] of parts.entries()) {
    const coordinate = bytes.subarray(32 * i, 32 * i + 32)
    if (!isBelow(coordinate, modulus)) return false
    writeCoordinate(memory, to + part * lengths.fp, coordinate)
  }
  const z = to + parts.length * lengths.fp
  memory.fill(0, z, z + (parts.length / 2) * lengths.fp)
  mcl._mclBnFp_setInt32(z, 1)
  return true
}

/** The bytes of a point that is not at infinity. */
function readPoint(memory: Uint8Array, group: 'G1' | 'G2', from: number): Uint8Array {
  mcl[`_mclBn${group}_normalize`](from, from)
  const parts = partsOf(group)
  const bytes = new Uint8Array(32 * parts.length)
  for (const [i, part] of parts.entries()) {
    mcl._mclBnFp_serialize(place.bytes, 32, from + part * lengths.fp)
    bytes.set(memory.slice(place.bytes, place.bytes + 32).reverse(), 32 * i)
  }
  return bytes
}

/** Where mcl has the coordinates that follow each other in the bytes: those of G2 have the imaginary part first there. */
function partsOf(group: 'G1' | 'G2'): readonly number[] {
  return group === 'G1' ? [0, 1] : [1, 0, 3, 2]
}

function writeCoordinate(memory: Uint8Array, to: number, coordinate: Uint8Array): void {
  memory.set(coordinate, place.bytes)
  mcl._mclBnFp_setBigEndianMod(to, place.bytes, 32)
}

/** Whether one number of 32 bytes is below another, in the same time for all of one length. */
function isBelow(bytes: Uint8Array, bound: Uint8Array): boolean {
  let borrow = 0
  for (let i = 31; i >= 0; i--) borrow = (((bytes[i] as number) - (bound[i] as number) - borrow) >> 8) & 1
  return borrow === 1
}

function layOut(): number {
  const { fp, fr, g1, g2, gt } = lengths
  const sizes: { readonly [name in keyof typeof place]: number } = {
    multiple: g1,
    point: g1,
    base: g2,
    key: g2,
    part: g2,
    pairing: gt,
    scalar: fr,
    blind: fr,
    bytes: 48,
    one: fp,
    three: fp,
    square: fp,
    root: fp,
  }
  const length = Object.values(sizes).reduce((sum, size) => sum + size)
  let at = mcl._malloc(length)
  for (const name of Object.keys(sizes) as (keyof typeof place)[]) {
    place[name] = at
    at += sizes[name]
  }
  return length
}

async function load(): Promise<Mcl> {
  const library = require('mcl-wasm') as {
    init(curve: number): Promise<void>
    readonly mod: Mcl
  }
  await library.init(curve)
  return library.mod
}
