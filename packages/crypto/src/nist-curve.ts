import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { promisify } from 'node:util'
import type { Algorithm } from './algorithm.ts'
import { type AlgorithmName, factsOf, type HashName } from './algorithm-facts.ts'
import { assertBytes, concat } from './bytes.ts'
import type { Entropy } from './entropy.ts'
import { opensslLane } from './lane.ts'
import { allocateOffHeap } from './secret.ts'

/**
 * ECDSA over a curve of NIST (FIPS 186-5), by OpenSSL: random nonces, S as it comes.
 *
 * An opened key is an OpenSSL key object. Its scalar lies in OpenSSL's secure heap where the process was started with
 * `--secure-heap`; otherwise in ordinary memory, which is neither locked nor guarded. Node frees it, zeroed, when the
 * garbage collector finds it, so `close` ends the use of the handle, and the memory follows later. A secure heap that is
 * full makes opening and signing throw; OpenSSL does not fall back to ordinary memory.
 *
 * Through Node, OpenSSL hashes what it is given, also when asked for no hash: a digest cannot be signed.
 */

/** What a curve is, in bytes. */
export interface NistCurveParameters {
  readonly name: AlgorithmName
  readonly hash: HashName
  /** The order of the group, big-endian (SEC 2 §2). */
  readonly order: Uint8Array
  /** The curve's name: an object identifier in DER. */
  readonly identifier: Uint8Array
}

/** A row, and the objects behind it. */
export interface NistCurve {
  readonly row: Algorithm
  /** OpenSSL's object of a secret. `RangeError` for one that is not valid. */
  openPrivateKey(secret: Uint8Array): KeyObject
  /** OpenSSL's object of a public key (SEC1, compressed or not), or `null` where the bytes are no point of the curve. */
  openPublicKey(publicKey: Uint8Array): KeyObject | null
  /** The public key of a valid secret, SEC1 uncompressed. `RangeError` for another secret. */
  uncompressedPublicKey(secret: Uint8Array): Uint8Array
}

const signOnThread = promisify(sign)
/** 1.2.840.10045.2.1, `ecPublicKey` (RFC 5480 §2.1.1). */
const ecPublicKey = [0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01]

/** The row of a curve. */
export function createNistCurve({ name, hash, order, identifier }: NistCurveParameters): NistCurve {
  const facts = factsOf(name)
  const size = order.length
  // Every length below is under 128, so that it is one byte of DER.
  const privateTail = concat(Uint8Array.of(0xa0, identifier.length), identifier)
  // `ECPrivateKey` (RFC 5915 §3): version 1, the scalar, the curve's name. OpenSSL computes the public key.
  const privateHead = Uint8Array.of(0x30, 5 + size + privateTail.length, 2, 1, 1, 4, size)
  const compressedHead = infoHead(1 + size)
  const uncompressedHead = infoHead(1 + 2 * size)

  /** `SubjectPublicKeyInfo` (RFC 5480 §2) up to a point of so many bytes. */
  function infoHead(pointLength: number): Uint8Array {
    const algorithm = concat(Uint8Array.of(0x30, ecPublicKey.length + identifier.length, ...ecPublicKey), identifier)
    return concat(
      Uint8Array.of(0x30, algorithm.length + 3 + pointLength),
      algorithm,
      Uint8Array.of(3, 1 + pointLength, 0),
    )
  }

  /** From 1 to the order less 1. Takes the same time for every value. */
  function isValidSecret(secret: Uint8Array): boolean {
    if (!(secret instanceof Uint8Array) || secret.length !== size) return false
    let borrow = 0
    let bits = 0
    for (let i = size - 1; i >= 0; i--) {
      borrow = ((secret[i] as number) - (order[i] as number) - borrow) >>> 31
      bits |= secret[i] as number
    }
    return (borrow & 1 & ((bits | -bits) >>> 31)) === 1
  }

  function openPrivateKey(secret: Uint8Array): KeyObject {
    assertBytes(secret, 'secret', size)
    if (!isValidSecret(secret)) throw new RangeError('secret: not a scalar below the order of the group')
    const der = allocateOffHeap(privateHead.length + size + privateTail.length)
    try {
      der.set(privateHead)
      der.set(secret, privateHead.length)
      der.set(privateTail, privateHead.length + size)
      return createPrivateKey({ key: der as Buffer, format: 'der', type: 'sec1' })
    } finally {
      der.fill(0)
    }
  }

  function openPublicKey(publicKey: Uint8Array): KeyObject | null {
    const compressed = publicKey.length === 1 + size && (publicKey[0] === 2 || publicKey[0] === 3)
    const uncompressed = publicKey.length === 1 + 2 * size && publicKey[0] === 4
    if (!compressed && !uncompressed) return null
    const der = Buffer.from(concat(compressed ? compressedHead : uncompressedHead, publicKey))
    try {
      return createPublicKey({ key: der, format: 'der', type: 'spki' })
    } catch {
      return null
    }
  }

  function uncompressedPublicKey(secret: Uint8Array): Uint8Array {
    const info = createPublicKey(openPrivateKey(secret)).export({ format: 'der', type: 'spki' })
    return new Uint8Array(info.subarray(uncompressedHead.length))
  }

  const row: Algorithm = {
    ...facts,
    engine: 'openssl',
    native: true,
    memory: 'locked',
    constantTime: 'OpenSSL',
    generate(entropy: Entropy, secret: Uint8Array) {
      assertBytes(secret, 'secret', size)
      do entropy.fill(secret)
      while (!isValidSecret(secret))
    },
    isValidSecret,
    publicKey(secret) {
      const point = uncompressedPublicKey(secret)
      const publicKey = point.slice(0, 1 + size)
      publicKey[0] = 2 + ((point[2 * size] as number) & 1)
      return publicKey
    },
    isValidPublicKey: (publicKey) =>
      publicKey instanceof Uint8Array && publicKey.length === 1 + size && openPublicKey(publicKey) !== null,
    openSigner(secret) {
      let key: KeyObject | null = openPrivateKey(secret)
      const held = (message: Uint8Array): KeyObject => {
        assertBytes(message, 'message')
        if (key === null) throw new TypeError('signer: used after it was closed')
        return key
      }
      return {
        sign: (message) => ({
          signature: plain(sign(hash, message, { key: held(message), dsaEncoding: 'ieee-p1363' })),
        }),
        ...(facts.slow && {
          signLater: (message: Uint8Array) => {
            const options = { key: held(message), dsaEncoding: 'ieee-p1363' } as const
            return opensslLane(async () => ({ signature: plain(await signOnThread(hash, message, options)) }))
          },
        }),
        close() {
          key = null
        },
      }
    },
    verify(signature, message, publicKey) {
      if (!(signature instanceof Uint8Array) || signature.length !== 2 * size) return false
      if (!(message instanceof Uint8Array) || !(publicKey instanceof Uint8Array)) return false
      if (publicKey.length !== 1 + size) return false
      const key = openPublicKey(publicKey)
      return key !== null && verify(hash, message, { key, dsaEncoding: 'ieee-p1363' }, signature)
    },
  }
  return { row, openPrivateKey, openPublicKey, uncompressedPublicKey }
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
