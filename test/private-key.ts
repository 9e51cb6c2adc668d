import type { AlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { algorithm } from '@popsigner/crypto/algorithms'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { Secret } from '@popsigner/crypto/secret'

const entropy = createEntropy(kernelSource)

/** A new private key, in the form of its algorithm. */
export async function newPrivateKey(name: AlgorithmName): Promise<Buffer> {
  const row = algorithm(name)
  const secret = Secret.allocate(row.secretLength)
  if (row.generateLater) await row.generateLater(entropy, secret)
  else secret.use((into) => row.generate(entropy, into))
  return secret.spend((bytes) => Buffer.from(bytes))
}
