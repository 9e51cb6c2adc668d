import {
  constants,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  generateKeyPairSync,
  type KeyObject,
  sign,
  verify,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { Algorithm } from './algorithm.ts'
import { type AlgorithmName, factsOf, type SchemeName } from './algorithm-facts.ts'
import { assertBytes, equal } from './bytes.ts'
import type { Entropy } from './entropy.ts'
import { generationLane, opensslLane } from './lane.ts'

/**
 * RSA with SHA-256 (RFC 8017), by OpenSSL: PSS with MGF1 over SHA-256 and a salt of 32 bytes, or PKCS#1 v1.5. The public exponent is
 * 65537; keys with another are refused.
 *
 * A secret is PKCS#8 in DER (RFC 5208), followed by zeros up to the length of the row, so that its length tells nothing.
 * A public key is `SubjectPublicKeyInfo` in DER.
 *
 * An opened key is an OpenSSL key object, which lies in OpenSSL's secure heap where there is one. OpenSSL keeps values made of
 * the primes in ordinary memory beside it, and frees both, zeroed, when Node's garbage collector finds the object.
 * New keys are drawn by OpenSSL's own generator, which the kernel seeds; it is asked only while the health tests pass.
 * Each signature is verified before it is released: one that went wrong would give the primes away.
 */

const exponent = 65537
const hash = 'sha256'
const paddings: { readonly [scheme in string]?: { readonly padding: number; readonly saltLength?: number } } = {
  pss: { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 },
  pkcs1v15: { padding: constants.RSA_PKCS1_PADDING },
}
const generateOnThread = promisify(generateKeyPair)
const signOnThread = promisify(sign)
const verifyOnThread = promisify(verify)

/** The rows of RSA. */
export const rsa2048: Algorithm = createRsa('rsa-2048', 2048)
export const rsa3072: Algorithm = createRsa('rsa-3072', 3072)
export const rsa4096: Algorithm = createRsa('rsa-4096', 4096)

function createRsa(name: AlgorithmName, bits: number): Algorithm {
  const facts = factsOf(name)
  const options = { modulusLength: bits, publicExponent: exponent }

  function openPrivateKey(secret: Uint8Array): KeyObject | null {
    if (!(secret instanceof Uint8Array) || secret.length !== facts.secretLength) return null
    const length = derLength(secret)
    if (length > secret.length || secret.subarray(length).some((byte) => byte !== 0)) return null
    try {
      const key = createPrivateKey({ key: secret.subarray(0, length) as Buffer, format: 'der', type: 'pkcs8' })
      return isOurs(key) ? key : null
    } catch {
      return null
    }
  }

  function openPublicKey(publicKey: Uint8Array): KeyObject | null {
    if (!(publicKey instanceof Uint8Array) || publicKey.length !== facts.publicKeyLength) return null
    try {
      const key = createPublicKey({ key: publicKey as Buffer, format: 'der', type: 'spki' })
      return isOurs(key) && equal(key.export({ format: 'der', type: 'spki' }), publicKey) ? key : null
    } catch {
      return null
    }
  }

  function isOurs({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
    return (
      asymmetricKeyType === 'rsa' &&
      asymmetricKeyDetails?.modulusLength === bits &&
      asymmetricKeyDetails.publicExponent === BigInt(exponent)
    )
  }

  function mustOpen(secret: Uint8Array): KeyObject {
    assertBytes(secret, 'secret', facts.secretLength)
    const key = openPrivateKey(secret)
    if (key === null) throw new RangeError(`secret: not a private key of ${name}`)
    return key
  }

  /** Whether it is in the one form there is, and signs what its public half verifies. */
  function isValidSecret(secret: Uint8Array): boolean {
    const key = openPrivateKey(secret)
    if (key === null) return false
    const der = key.export({ format: 'der', type: 'pkcs8' })
    try {
      if (!equal(der, secret.subarray(0, der.length)) || derLength(secret) !== der.length) return false
      const probe = Buffer.from(name)
      return verify(hash, probe, createPublicKey(key), sign(hash, probe, key))
    } catch {
      return false
    } finally {
      der.fill(0)
    }
  }

  return {
    ...facts,
    engine: 'openssl',
    native: true,
    memory: 'copies',
    constantTime: 'OpenSSL, with blinding',
    generate(entropy, secret) {
      assertBytes(secret, 'secret', facts.secretLength)
      mustBeHealthy(entropy, secret)
      keep(generateKeyPairSync('rsa', options).privateKey, secret)
    },
    generateLater: (entropy, secret) =>
      generationLane(async () => {
        secret.use((into) => mustBeHealthy(entropy, into))
        const { privateKey } = await generateOnThread('rsa', options)
        secret.use((into) => keep(privateKey, into))
      }),
    isValidSecret,
    publicKey: (secret) => plain(createPublicKey(mustOpen(secret)).export({ format: 'der', type: 'spki' })),
    isValidPublicKey: (publicKey) => openPublicKey(publicKey) !== null,
    openSigner(secret) {
      let pair: { readonly privateKey: KeyObject; readonly publicKey: KeyObject } | null = null
      const privateKey = mustOpen(secret)
      pair = { privateKey, publicKey: createPublicKey(privateKey) }
      const held = (message: Uint8Array, scheme: SchemeName | undefined) => {
        assertBytes(message, 'message')
        if (pair === null) throw new TypeError('signer: used after it was closed')
        const padding = paddings[scheme ?? facts.schemes[0].name]
        if (padding === undefined) throw new RangeError('scheme: not one of the row')
        return { own: { key: pair.privateKey, ...padding }, check: { key: pair.publicKey, ...padding } }
      }
      return {
        sign(message, scheme) {
          const { own, check } = held(message, scheme)
          const signature = sign(hash, message, own)
          return released(signature, verify(hash, message, check, signature))
        },
        signLater(message, scheme) {
          const { own, check } = held(message, scheme)
          return opensslLane(async () => {
            const signature = await signOnThread(hash, message, own)
            return released(signature, await verifyOnThread(hash, message, check, signature))
          })
        },
        close() {
          pair = null
        },
      }
    },
    verify(signature, message, publicKey, scheme) {
      if (!(signature instanceof Uint8Array) || signature.length !== facts.signatureLength) return false
      if (!(message instanceof Uint8Array)) return false
      const key = openPublicKey(publicKey)
      const padding = paddings[scheme ?? facts.schemes[0].name]
      return key !== null && padding !== undefined && verify(hash, message, { key, ...padding }, signature)
    },
  }
}

/** Throws `EntropyFailure` where the source has failed. What is drawn is not used: OpenSSL draws for itself. */
function mustBeHealthy(entropy: Entropy, into: Uint8Array): void {
  entropy.fill(into.subarray(0, 32))
  into.fill(0)
}

function keep(key: KeyObject, into: Uint8Array): void {
  const der = key.export({ format: 'der', type: 'pkcs8' })
  into.fill(0)
  into.set(der)
  der.fill(0)
}

/** Bytes of the DER sequence at the beginning, whose length has two bytes; infinite for anything else. */
function derLength(bytes: Uint8Array): number {
  if (bytes[0] !== 0x30 || bytes[1] !== 0x82) return Number.POSITIVE_INFINITY
  return 4 + (((bytes[2] as number) << 8) | (bytes[3] as number))
}

function released(signature: Buffer, valid: boolean): { signature: Uint8Array } {
  if (!valid) throw new Error('signature: does not verify')
  return { signature: plain(signature) }
}

function plain(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
