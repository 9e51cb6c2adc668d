import type { Output } from '@popsigner/api/routes'
import { type AlgorithmName, factsOf } from '@popsigner/crypto/algorithm-facts'
import { fromHex, hex } from '@popsigner/crypto/bytes'
import { openWith, type Recipient, sealTo } from '@popsigner/crypto/hpke'
import { decodeTypeId } from '@popsigner/crypto/typeid'
import { exportAad, exportInfo, importAad, importInfo } from '@popsigner/crypto/wrapping'

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
function ruleOf(text: string): 'none' | 'any' | Uint8Array {
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

/** Opens what was exported, for the recipient that asked for it; null where that does not work. */
// biome-ignore lint/suspicious/noExplicitAny: tests read bodies freely; a missing field fails them.
export function openExported(sealed: any, recipient: Recipient, change: object = {}): Promise<Uint8Array | null> {
  const aad = exportAad({
    instance: sealed.instance,
    organization: decodeTypeId(sealed.organization, 'org') as Uint8Array,
    key: decodeTypeId(sealed.key_id, 'key') as Uint8Array,
    version: sealed.key_version,
    algorithm: sealed.algorithm,
    schemes: sealed.schemes,
    uses: sealed.uses,
    export: ruleOf(sealed.export),
    public_key: fromHex(sealed.public_key),
    ...change,
  })
  return openWith(
    recipient.privateKey,
    recipient.publicKey,
    new Uint8Array(Buffer.from(sealed.enc, 'base64')),
    exportInfo,
    aad,
    new Uint8Array(Buffer.from(sealed.ciphertext, 'base64')),
  )
}

/** The body of an export to this recipient. */
export const exportBody = (recipient: Recipient, version?: number) => ({
  recipient_public_key: hex(recipient.publicKey),
  ...(version === undefined ? {} : { key_version: version }),
})
