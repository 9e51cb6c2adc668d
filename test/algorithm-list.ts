import { algorithmFacts } from '@popsigner/crypto/algorithm-facts'

/** What docs/formats.md says of each algorithm, out of the table. */
export function algorithmList(): string {
  return algorithmFacts
    .map((facts) => {
      const schemes = facts.schemes.map(({ name, input, hashes, prehashed, deterministic }) => {
        const hashed = hashes.length === 0 ? 'the message whole' : hashes.join(' or ')
        const more = [...(prehashed ? ['or a given digest'] : []), deterministic ? 'deterministic' : 'random']
        return `\`${name}\` (${hashed}${input === 'message' && hashes.length > 0 ? ', hashed by the library' : ''}, ${more.join(', ')})`
      })
      return [
        `- \`${facts.name}\`: private key ${facts.secretLength} bytes, ${facts.secretForm}`,
        `public key ${facts.publicKeyLength} bytes, ${facts.publicKeyForm}`,
        `signature ${facts.signatureLength} bytes, ${facts.signatureForm}`,
        `schemes ${schemes.join(', ')}`,
      ].join('; ')
    })
    .join('\n')
}
