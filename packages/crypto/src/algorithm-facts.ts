/**
 * The facts of every algorithm, scheme and hash: plain JavaScript without an import, so that the contract, browsers and the
 * signer read one table. A row here, one in `plain-algorithms.ts` and one in `algorithms.ts` are an algorithm.
 */

/** Names of algorithms, in the order in which they are shown. */
export type AlgorithmName =
  | 'secp256k1'
  | 'secp256k1-schnorr'
  | 'ed25519'
  | 'p256'
  | 'p384'
  | 'rsa-2048'
  | 'rsa-3072'
  | 'rsa-4096'
  | 'bls12-381'
  | 'bn254'
/** Names of the ways in which keys sign. */
export type SchemeName =
  | 'ecdsa'
  | 'bip340'
  | 'pure'
  | 'pss'
  | 'pkcs1v15'
  | 'signature'
  | 'proof-of-possession'
  | 'digest'
  | 'g1'
/** Hashes of raw data, with the bytes of their digests. */
export type HashName = 'sha256' | 'sha384' | 'keccak256'

/** One way in which the keys of an algorithm sign. */
export interface SchemeFacts {
  readonly name: SchemeName
  /** What the library takes: a digest, or the message. With hashes and `message` the library hashes, by the only one. */
  readonly input: 'digest' | 'message'
  /** The hashes a caller may name for raw data; the first is the default. Empty where the scheme takes the message whole. */
  readonly hashes: readonly HashName[]
  /** Whether a caller may give the digest instead of the data: 32 bytes. */
  readonly prehashed: boolean
  /** Whether the same input gives the same signature. */
  readonly deterministic: boolean
  /** Set where the only thing that is signed is the key's own public key. */
  readonly ownKey?: true
  /** Set where the only thing that is signed is a point of G1, which the caller chose: x ‖ y, 64 bytes. */
  readonly point?: true
}

/** The facts of an algorithm that hold wherever it runs. */
export interface AlgorithmFacts {
  readonly name: AlgorithmName
  /** The ways its keys sign; the first is the default. */
  readonly schemes: readonly [SchemeFacts, ...SchemeFacts[]]
  /** Bytes of a private key, as it is sealed and moved. */
  readonly secretLength: number
  /** Its form, in words. */
  readonly secretForm: string
  /** Bytes of a public key. */
  readonly publicKeyLength: number
  /** Its form, in words. */
  readonly publicKeyForm: string
  /** Bytes of a signature. */
  readonly signatureLength: number
  /** Its form, in words. */
  readonly signatureForm: string
  /** Whether a signature takes longer than a tenth of a millisecond: then it travels and waits apart from the fast ones. */
  readonly slow: boolean
}

/** Bytes of each hash's digest. */
export const digestLengths: { readonly [name in HashName]: number } = { sha256: 32, sha384: 48, keccak256: 32 }

const rsaSchemes = [
  { name: 'pss', input: 'message', hashes: ['sha256'], prehashed: false, deterministic: false },
  { name: 'pkcs1v15', input: 'message', hashes: ['sha256'], prehashed: false, deterministic: true },
] as const
const rsaSecretForm = 'PKCS#8 (RFC 5208) in DER, then zeros'

const rows: { readonly [name in AlgorithmName]: Omit<AlgorithmFacts, 'name'> } = {
  secp256k1: {
    schemes: [
      { name: 'ecdsa', input: 'digest', hashes: ['sha256', 'keccak256'], prehashed: true, deterministic: true },
    ],
    secretLength: 32,
    secretForm: 'scalar',
    publicKeyLength: 33,
    publicKeyForm: 'SEC1 compressed',
    signatureLength: 64,
    signatureForm: 'R ‖ S, S in the lower half of the order',
    slow: false,
  },
  'secp256k1-schnorr': {
    schemes: [{ name: 'bip340', input: 'digest', hashes: ['sha256'], prehashed: true, deterministic: false }],
    secretLength: 32,
    secretForm: 'scalar',
    publicKeyLength: 32,
    publicKeyForm: 'x-only (BIP-340)',
    signatureLength: 64,
    signatureForm: 'BIP-340',
    slow: false,
  },
  ed25519: {
    schemes: [{ name: 'pure', input: 'message', hashes: [], prehashed: false, deterministic: true }],
    secretLength: 32,
    secretForm: 'seed of RFC 8032',
    publicKeyLength: 32,
    publicKeyForm: 'RFC 8032',
    signatureLength: 64,
    signatureForm: 'RFC 8032',
    slow: false,
  },
  p256: {
    schemes: [{ name: 'ecdsa', input: 'message', hashes: ['sha256'], prehashed: false, deterministic: false }],
    secretLength: 32,
    secretForm: 'scalar',
    publicKeyLength: 33,
    publicKeyForm: 'SEC1 compressed',
    signatureLength: 64,
    signatureForm: 'R ‖ S',
    slow: false,
  },
  p384: {
    schemes: [{ name: 'ecdsa', input: 'message', hashes: ['sha384'], prehashed: false, deterministic: false }],
    secretLength: 48,
    secretForm: 'scalar',
    publicKeyLength: 49,
    publicKeyForm: 'SEC1 compressed',
    signatureLength: 96,
    signatureForm: 'R ‖ S',
    slow: true,
  },
  'rsa-2048': {
    schemes: rsaSchemes,
    secretLength: 1220,
    secretForm: rsaSecretForm,
    publicKeyLength: 294,
    publicKeyForm: 'SubjectPublicKeyInfo (RFC 5280) in DER, exponent 65537',
    signatureLength: 256,
    signatureForm: 'RFC 8017',
    slow: true,
  },
  'rsa-3072': {
    schemes: rsaSchemes,
    secretLength: 1796,
    secretForm: rsaSecretForm,
    publicKeyLength: 422,
    publicKeyForm: 'SubjectPublicKeyInfo (RFC 5280) in DER, exponent 65537',
    signatureLength: 384,
    signatureForm: 'RFC 8017',
    slow: true,
  },
  'rsa-4096': {
    schemes: rsaSchemes,
    secretLength: 2377,
    secretForm: rsaSecretForm,
    publicKeyLength: 550,
    publicKeyForm: 'SubjectPublicKeyInfo (RFC 5280) in DER, exponent 65537',
    signatureLength: 512,
    signatureForm: 'RFC 8017',
    slow: true,
  },
  'bls12-381': {
    schemes: [
      { name: 'signature', input: 'message', hashes: [], prehashed: false, deterministic: true },
      {
        name: 'proof-of-possession',
        input: 'message',
        hashes: [],
        prehashed: false,
        deterministic: true,
        ownKey: true,
      },
    ],
    secretLength: 32,
    secretForm: 'scalar',
    publicKeyLength: 48,
    publicKeyForm: 'point of G1, compressed (draft-irtf-pairing-friendly-curves §C)',
    signatureLength: 96,
    signatureForm: 'point of G2, compressed',
    slow: true,
  },
  bn254: {
    schemes: [
      { name: 'digest', input: 'digest', hashes: ['keccak256', 'sha256'], prehashed: true, deterministic: true },
      { name: 'g1', input: 'message', hashes: [], prehashed: false, deterministic: true, point: true },
    ],
    secretLength: 32,
    secretForm: 'scalar',
    publicKeyLength: 192,
    publicKeyForm: 'point of G1, x ‖ y, then the one of G2, x1 ‖ x0 ‖ y1 ‖ y0 (EIP-197)',
    signatureLength: 64,
    signatureForm: 'point of G1, x ‖ y (EIP-196)',
    slow: true,
  },
}

/** One row per algorithm, in the order in which they are shown. */
export const algorithmFacts: readonly AlgorithmFacts[] = Object.entries(rows).map(([name, row]) => ({
  name: name as AlgorithmName,
  ...row,
}))

/** Every algorithm's name. */
export const algorithmNames: readonly AlgorithmName[] = algorithmFacts.map(({ name }) => name)

/** Every scheme's name, each once. */
export const schemeNames: readonly SchemeName[] = [
  ...new Set(algorithmFacts.flatMap(({ schemes }) => schemes.map(({ name }) => name))),
]

/** Every hash's name. */
export const hashNames: readonly HashName[] = Object.keys(digestLengths) as HashName[]

const byName = new Map<string, AlgorithmFacts>(algorithmFacts.map((facts) => [facts.name, facts]))

/** The facts of an algorithm. */
export function factsOf(name: AlgorithmName): AlgorithmFacts {
  return byName.get(name) as AlgorithmFacts
}

/** Whether this is the name of an algorithm. */
export function isAlgorithmName(name: string): name is AlgorithmName {
  return byName.has(name)
}

/** The facts of a scheme of this algorithm, undefined where it has none of that name. */
export function schemeOf(facts: AlgorithmFacts, name: string): SchemeFacts | undefined {
  return facts.schemes.find((scheme) => scheme.name === name)
}

/** The schemes of an algorithm in words: `a`, or `a or b`. */
export function schemesOf(facts: AlgorithmFacts): string {
  return facts.schemes.map(({ name }) => name).join(' or ')
}
