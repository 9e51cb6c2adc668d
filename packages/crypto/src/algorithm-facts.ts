/** The facts of an algorithm that hold wherever it runs. */
export interface AlgorithmFacts {
  readonly name: AlgorithmName
  /** What goes into a signature: a 32-byte digest, or the whole message. */
  readonly input: 'digest' | 'message'
  /** The ways its keys sign; the first is the default. */
  readonly schemes: readonly string[]
  /** The hashes a caller may name for raw data; the first is the default. Empty where the scheme takes the message whole. */
  readonly hashes: readonly HashName[]
  /** Whether a caller may give the digest instead of the data. */
  readonly prehashed: boolean
  /** Whether the same input gives the same signature. */
  readonly deterministic: boolean
  readonly secretLength: 32
  /** Bytes of a public key: SEC1 compressed, or RFC 8032. */
  readonly publicKeyLength: 32 | 33
  /** Bytes of a signature: R and S. */
  readonly signatureLength: 64
}

export type AlgorithmName = 'secp256k1' | 'ed25519' | 'p256'
export type HashName = 'sha256' | 'keccak256'

const facts: { readonly [name in AlgorithmName]: AlgorithmFacts } = {
  secp256k1: {
    name: 'secp256k1',
    input: 'digest',
    schemes: ['ecdsa'],
    hashes: ['sha256', 'keccak256'],
    prehashed: true,
    deterministic: true,
    secretLength: 32,
    publicKeyLength: 33,
    signatureLength: 64,
  },
  ed25519: {
    name: 'ed25519',
    input: 'message',
    schemes: ['pure'],
    hashes: [],
    prehashed: false,
    deterministic: true,
    secretLength: 32,
    publicKeyLength: 32,
    signatureLength: 64,
  },
  p256: {
    name: 'p256',
    input: 'message',
    schemes: ['ecdsa'],
    hashes: ['sha256'],
    prehashed: false,
    deterministic: false,
    secretLength: 32,
    publicKeyLength: 33,
    signatureLength: 64,
  },
}

/** One row per algorithm, in the order in which they are shown. */
export const algorithmFacts: readonly AlgorithmFacts[] = Object.values(facts)

/** The facts of an algorithm. */
export function factsOf(name: AlgorithmName): AlgorithmFacts {
  return facts[name]
}

/** Whether this is the name of an algorithm. */
export function isAlgorithmName(name: string): name is AlgorithmName {
  return Object.hasOwn(facts, name)
}
