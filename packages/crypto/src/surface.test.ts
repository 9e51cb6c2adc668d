import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

/** What every module exports at run time. A change here is a change of what others may rely on. */
const surface: Readonly<Record<string, readonly string[]>> = {
  address: ['checksumAddress', 'cosmosAddress', 'encodeCosmosAddress', 'ethereumAddress', 'isCosmosPrefix'],
  algorithm: [],
  'algorithm-facts': [
    'algorithmFacts',
    'algorithmNames',
    'digestLengths',
    'factsOf',
    'hashNames',
    'isAlgorithmName',
    'schemeNames',
    'schemeOf',
    'schemesOf',
  ],
  algorithms: ['algorithm', 'algorithms', 'isAlgorithm'],
  'bls12-381': ['bls12381', 'createBls', 'loadBlst', 'loadNobleEngine'],
  'bls12-381-aggregate': ['aggregateBls', 'verifyAggregateBls'],
  'bls12-381-plain': ['checkPlainPublicKey', 'plainBls12381', 'signPlainBls12381'],
  bn254: ['bn254'],
  'bn254-mcl': ['isMclPublicKey', 'isMclSecret', 'mcl', 'mclProduct', 'mclPublicKey', 'verifyMcl'],
  'bn254-plain': ['isBn254Point', 'plainBn254'],
  bytes: [
    'assertBytes',
    'base64',
    'base64url',
    'concat',
    'equal',
    'fromBase64',
    'fromBase64url',
    'fromHex',
    'fromUtf8',
    'hex',
    'utf8',
  ],
  'canonical-json': ['canonicalJson', 'parseCanonicalJson'],
  cbor: ['decodeCbor', 'encodeCbor'],
  ed25519: ['ed25519'],
  entropy: ['EntropyFailure', 'createEntropy', 'kernelSource'],
  fault: ['Fault'],
  hash: ['hashWith', 'hmacSha256', 'keccak256', 'ripemd160', 'sha256'],
  'hash-native': ['digestHex', 'hmacSha256', 'sha256'],
  hpke: ['generateRecipient', 'openWith', 'sealTo'],
  'hpke-native': ['openInto', 'sealFrom', 'sealTo'],
  lane: ['createLane', 'generationLane', 'opensslLane'],
  'nist-curve': ['createNistCurve'],
  p256: ['openPrivateKey', 'openPublicKey', 'p256', 'uncompressedPublicKey'],
  p384: ['p384'],
  'plain-algorithms': ['plainAlgorithms'],
  secp256k1: ['createSecp256k1', 'loadEngine', 'loadNative', 'loadWasm', 'secp256k1'],
  recover: ['recoverPublicKey'],
  rsa: ['rsa2048', 'rsa3072', 'rsa4096'],
  'rsa-plain': ['createPlainRsa'],
  'secp256k1-schnorr': ['createSchnorr', 'loadNativeSchnorr', 'loadWasmSchnorr', 'secp256k1Schnorr'],
  secret: ['Secret', 'SecretArena', 'allocateOffHeap', 'lockedMemoryLimit', 'slotLength', 'verifyLocked'],
  sodium: ['sodium'],
  typeid: ['decodeTypeId', 'encodeTypeId', 'uuidBytes', 'uuidText'],
  verify: ['publicKeyOf', 'verifySignature'],
  wrapping: ['exportAad', 'exportInfo', 'importAad', 'importInfo'],
  xaes256gcm: ['openXaes', 'sealXaes'],
}

/** Modules that run in a browser: plain JavaScript all the way down. */
const plain = [
  'address',
  'algorithm-facts',
  'bls12-381-plain',
  'bn254-plain',
  'bytes',
  'canonical-json',
  'cbor',
  'fault',
  'hash',
  'hpke',
  'recover',
  'plain-algorithms',
  'rsa-plain',
  'typeid',
  'verify',
  'wrapping',
]
const plainLibraries = /^(@noble\/(curves|hashes)\/[\w-]+\.js|@scure\/base|hpke)$/

test('modules and their exports', async () => {
  const modules: Record<string, readonly string[]> = {}
  for (const name of readdirSync(import.meta.dirname).sort()) {
    if (name.endsWith('.test.ts')) continue
    const exports: object = await import(`./${name}`)
    modules[name.replace('.ts', '')] = Object.keys(exports).sort()
  }
  assert.deepEqual(modules, surface)
})

test('plain modules import nothing but plain modules and plain libraries', () => {
  for (const name of plain)
    for (const [, specifier = ''] of sourceOf(name).matchAll(/^import (?!type ).*? from '([^']+)'/gms)) {
      const own = /^\.\/(.+)\.ts$/.exec(specifier)?.[1]
      assert.ok(
        own === undefined ? plainLibraries.test(specifier) : plain.includes(own),
        `${name} imports ${specifier}`,
      )
    }
})

test('no module reads files, the network, the clock or the environment', () => {
  for (const name of Object.keys(surface)) {
    const source = sourceOf(name)
    for (const [, module = ''] of source.matchAll(/'node:([\w/]+)'/g))
      assert.ok(['crypto', 'module', 'util'].includes(module), `${name} imports node:${module}`)
    assert.doesNotMatch(source, /\b(process\.|fetch\(|Date\b|performance\b|console\.|Math\.random)/, name)
  }
})

test('the native secp256k1 library is never imported by the entry that falls back in silence', () => {
  for (const name of Object.keys(surface))
    assert.doesNotMatch(sourceOf(name), /(require\(|from |import\()['"]secp256k1['"]/, name)
})

function sourceOf(name: string): string {
  return readFileSync(join(import.meta.dirname, `${name}.ts`), 'utf8')
}
