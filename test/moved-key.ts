import type { Output } from '@popsigner/api/routes'
import { type AlgorithmName, factsOf } from '@popsigner/crypto/algorithm-facts'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { sealTo } from '@popsigner/crypto/hpke'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { importAad, importInfo } from '@popsigner/crypto/wrapping'

/** What the owner of a private key binds to it. */
export interface Bound {
  readonly algorithm: AlgorithmName
  readonly schemes: readonly string[]
  readonly uses: readonly string[]
  /** none, any, or hex of the SHA-256 of the only recipient's key. */
  readonly export: string
  readonly public_key: string
}

/** A private key sealed to a wrapping key, as the fields of an import: everything of it but the name and the namespace. */
export async function wrapForImport(
  wrapping: Output<'keys.createWrappingKey'>,
  bound: Bound,
  privateKey: Uint8Array,
  info: Uint8Array = importInfo,
) {
  const aad = importAad({
    ...bound,
    instance: wrapping.instance,
    organization: decodeTypeId(wrapping.organization, 'org') as Uint8Array,
    wrapping_key: decodeTypeId(wrapping.id, 'wk') as Uint8Array,
    export: ruleOf(bound.export),
    public_key: fromHex(bound.public_key),
  })
  const { enc, ciphertext } = await sealTo(fromHex(wrapping.public_key), info, aad, privateKey)
  return {
    ...bound,
    wrapping_key_id: wrapping.id,
    enc: Buffer.from(enc).toString('base64'),
    ciphertext: Buffer.from(ciphertext).toString('base64'),
  }
}

/** A rule of export as wrapping binds it. */
export function ruleOf(text: string): 'none' | 'any' | Uint8Array {
  return text === 'none' || text === 'any' ? text : fromHex(text)
}

/** What is bound to a key of this algorithm when its owner names nothing. */
export function defaultsFor(algorithm: AlgorithmName, publicKey: Uint8Array, rule = 'none'): Bound {
  return {
    algorithm,
    schemes: [factsOf(algorithm).schemes[0].name],
    uses: ['transaction', 'message', 'raw', 'digest'],
    export: rule,
    public_key: hex(publicKey),
  }
}
