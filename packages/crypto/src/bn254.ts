import type { Algorithm } from './algorithm.ts'
import { factsOf } from './algorithm-facts.ts'
import { isMclPublicKey, isMclSecret, mclProduct, mclPublicKey, verifyMcl } from './bn254-mcl.ts'
import { assertBytes } from './bytes.ts'

/**
 * BLS signatures over BN254 as EigenLayer verifies them, in G1. `digest` maps 32 bytes to a point as `hashToG1` of its `BN254.sol`
 * does. `g1` takes a point of the curve that the caller chose: whoever may use it gets the product of the key and any point, that of
 * a digest too.
 *
 * mcl signs, as WebAssembly: `bn254-mcl.ts` says what protects the secret there.
 */

/** Bytes of what each scheme takes. */
const inputLengths: { readonly [scheme in string]?: number } = { digest: 32, g1: 64 }

/** The row. */
export const bn254: Algorithm = {
  ...factsOf('bn254'),
  engine: 'mcl (wasm)',
  native: false,
  memory: 'locked',
  constantTime: 'mcl, with blinding',
  generate(entropy, secret) {
    assertBytes(secret, 'secret', 32)
    do entropy.fill(secret)
    while (!isMclSecret(secret))
  },
  isValidSecret: (secret) => isBytes(secret, 32) && isMclSecret(secret),
  publicKey(secret) {
    assertSecret(secret)
    return mclPublicKey(secret)
  },
  isValidPublicKey: (publicKey) => isBytes(publicKey, 192) && isMclPublicKey(publicKey),
  openSigner(secret, arena) {
    assertSecret(secret)
    const held = arena.take(32)
    held.use((bytes) => bytes.set(secret))
    return {
      sign(input, scheme = 'digest') {
        const length = inputLengths[scheme]
        if (length === undefined) throw new RangeError('scheme: not one of the row')
        assertBytes(input, scheme === 'digest' ? 'digest' : 'message', length)
        return { signature: held.use((bytes) => mclProduct(input, scheme === 'digest', bytes)) }
      },
      close: () => held.wipe(),
    }
  },
  verify(signature, input, publicKey, scheme = 'digest') {
    const length = inputLengths[scheme]
    if (length === undefined || !isBytes(signature, 64) || !isBytes(input, length) || !isBytes(publicKey, 192))
      return false
    return verifyMcl(signature, input, scheme === 'digest', publicKey)
  },
}

function assertSecret(secret: Uint8Array): void {
  assertBytes(secret, 'secret', 32)
  if (!isMclSecret(secret)) throw new RangeError('secret: not a scalar below the order of the group')
}

function isBytes(value: unknown, length: number): boolean {
  return value instanceof Uint8Array && value.length === length
}
