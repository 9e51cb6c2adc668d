import {
  algorithmFacts,
  algorithmNames,
  digestLengths,
  hashNames,
  schemeNames,
} from '@popsigner/crypto/algorithm-facts'
import { z } from 'zod'

/**
 * The names and sizes of algorithms, out of the one table of their facts. It is data without an import, and the only thing
 * that this package takes from another: a second list would have to be kept equal by hand.
 */

/** Algorithms whose keys this API makes. */
export const algorithmName = z
  .enum(algorithmNames)
  .meta({ id: 'Algorithm', description: 'Algorithm of a key. It never changes.' })

/** A way a key signs. */
export const scheme = z.enum(schemeNames).meta({
  id: 'Scheme',
  description: `How a key signs; the first is the default. ${eachAlgorithm(({ schemes }) =>
    schemes.map(({ name }) => `\`${name}\``).join(', '),
  )}`,
})

/** Hash of data that the server hashes. */
export const hashName = z.enum(hashNames).meta({
  id: 'Hash',
  description: `The hash that goes into the signature; the first is the default. ${eachScheme(({ hashes }) =>
    hashes.length === 0 ? 'none, leave it out' : hashes.map((name) => `\`${name}\``).join(', '),
  )} Beside \`prehashed\` it names the function that made the digest.`,
})

/** Most bytes of a private key of any algorithm. */
export const maxSecretLength: number = Math.max(...algorithmFacts.map(({ secretLength }) => secretLength))

/** Most bytes of a signature of any algorithm. */
export const maxSignatureLength: number = Math.max(...algorithmFacts.map(({ signatureLength }) => signatureLength))

const publicKeyLengths = [...new Set(algorithmFacts.map(({ publicKeyLength }) => publicKeyLength))].sort(
  (a, b) => a - b,
)

/** A public key. */
export const publicKeyText = z
  .string()
  .regex(
    new RegExp(`^(?:${publicKeyLengths.map((length) => `[0-9a-f]{${2 * length}}`).join('|')})$`),
    `must be ${publicKeyLengths.join(', ')} bytes of lower-case hex, as the algorithm has it`,
  )
  .describe(
    `Lower-case hex. ${eachAlgorithm(({ publicKeyForm, publicKeyLength }) => `${publicKeyForm}, ${publicKeyLength} bytes`)}`,
  )

/** How signatures are written. */
export const signatureForms: string = eachAlgorithm(
  ({ signatureForm, signatureLength }) => `${signatureForm}, ${signatureLength} bytes`,
)

/** Which schemes take a digest. */
export const digestForms: string = `Taken by ${algorithmFacts
  .flatMap(({ name, schemes }) =>
    schemes.filter(({ prehashed }) => prehashed).map((one) => `${name} (\`${one.name}\`)`),
  )
  .join(', ')}.`

/** Bytes of a digest that a caller gives. */
export const digestLength: number = digestLengths.sha256

type Facts = (typeof algorithmFacts)[number]

/** A sentence over all algorithms; those of which the same is to be said stand together. */
function eachAlgorithm(say: (facts: Facts) => string): string {
  return sentences(algorithmFacts.map((facts) => [facts.name, say(facts)]))
}

function eachScheme(say: (scheme: Facts['schemes'][number]) => string): string {
  return sentences(
    algorithmFacts.flatMap(({ name, schemes }) =>
      schemes.map((one): [string, string] => [schemes.length === 1 ? name : `${name} by \`${one.name}\``, say(one)]),
    ),
  )
}

function sentences(pairs: readonly (readonly [string, string])[]): string {
  const said = new Map<string, string[]>()
  for (const [name, text] of pairs) said.set(text, [...(said.get(text) ?? []), name])
  return [...said].map(([text, names]) => `${names.join(', ')}: ${text}.`).join(' ')
}
