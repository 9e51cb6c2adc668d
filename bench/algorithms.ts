/**
 * How fast each algorithm signs and verifies here, beside the library that it calls, in one process:
 * `npm run bench:algorithms`. With `--write` the table of `docs/algorithms.md` is written anew.
 */
import { constants, createPrivateKey, type KeyObject, randomBytes, sign } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { join } from 'node:path'
import { type Algorithm, algorithms } from '@popsigner/crypto/algorithms'
import { loadBlst } from '@popsigner/crypto/bls12-381'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { loadEngine, loadNative, loadWasm } from '@popsigner/crypto/secp256k1'
import { SecretArena } from '@popsigner/crypto/secret'
import { sodium } from '@popsigner/crypto/sodium'
import { writePrivateKey } from '@popsigner/sdk/key-encodings'

interface Measured {
  readonly row: Algorithm
  readonly scheme: string
  /** A second, by the row, by its library called with nothing around it, and verified by the row. */
  readonly signed: number
  readonly bare: number | null
  readonly verified: number
  /** Milliseconds for a new key. */
  readonly made: number
}

const milliseconds = 400
const message = randomBytes(32)
const entropy = createEntropy(kernelSource)

if (import.meta.main) {
  const measured = algorithms.flatMap(measure)
  const head = `${cpus()[0]?.model.trim()}, Node ${process.versions.node}, one thread`
  const table = tableOf(measured)
  process.stdout.write(`${head}\n\n${table}\n`)
  if (process.argv.includes('--write')) {
    const page = join(import.meta.dirname, '../docs/algorithms.md')
    const text = readFileSync(page, 'utf8')
    const [before = '', rest = ''] = text.split('<!-- measured -->\n')
    const after = rest.slice(rest.indexOf('<!-- end -->'))
    writeFileSync(page, `${before}<!-- measured -->\n\n${head}:\n\n${table}\n\n${after}`)
  }
}

function measure(row: Algorithm): Measured[] {
  const secret = new Uint8Array(row.secretLength)
  const made =
    row.secretLength > 64
      ? timed(() => row.generate(entropy, secret), 3)
      : timed(() => row.generate(entropy, secret), 50)
  const publicKey = row.publicKey(secret)
  const signer = row.openSigner(secret, new SecretArena(1))
  return row.schemes.map((scheme) => {
    const input = scheme.point ? publicKey.subarray(0, 64) : scheme.ownKey ? publicKey : message
    const { signature } = signer.sign(input, scheme.name)
    const bare = libraryOf(row, secret, scheme.name)
    // In turns, so that neither has the better half of the time.
    const signed = [0, 0]
    for (let round = 0; round < 4; round++) {
      signed[0] = Math.max(
        signed[0] as number,
        rate(() => signer.sign(input, scheme.name)),
      )
      if (bare)
        signed[1] = Math.max(
          signed[1] as number,
          rate(() => bare(input)),
        )
    }
    const verified = rate(() => row.verify(signature, input, publicKey, scheme.name))
    return {
      row,
      scheme: scheme.name,
      signed: signed[0] as number,
      bare: bare ? (signed[1] as number) : null,
      verified,
      made,
    }
  })
}

/** The library's own call, without the row around it; null where the row puts several together. */
function libraryOf(row: Algorithm, secret: Uint8Array, scheme: string): ((input: Uint8Array) => unknown) | null {
  if (row.name === 'secp256k1') {
    const engine = loadEngine(loadNative, loadWasm)
    return (digest) => engine.sign(digest, secret)
  }
  if (row.name === 'secp256k1-schnorr') {
    const tiny = createRequire(import.meta.resolve('@popsigner/crypto/secret'))('tiny-secp256k1')
    const auxiliary = randomBytes(32)
    return (digest) => tiny.signSchnorr(digest, secret, auxiliary)
  }
  if (row.name === 'ed25519') {
    const expanded = new Uint8Array(64)
    sodium.crypto_sign_seed_keypair(new Uint8Array(32), expanded, secret)
    return (input) => sodium.crypto_sign_detached(new Uint8Array(64), input, expanded)
  }
  if (row.name === 'bls12-381') {
    const key = loadBlst().SecretKey.fromBytes(secret)
    return scheme === 'signature' ? (input) => key.sign(input).toBytes() : null
  }
  if (row.name === 'bn254') {
    // The product alone, by the faster function, without map and blinding.
    const { Fr, G1, mul } = createRequire(import.meta.resolve('@popsigner/crypto/secret'))('mcl-wasm')
    const scalar = new Fr()
    scalar.setBigEndianMod(secret)
    const point = new G1()
    point.setStr('1 1 2')
    return () => mul(point, scalar)
  }
  const key: KeyObject = createPrivateKey(writePrivateKey(row.name, secret, 'pem'))
  const hash = row.name === 'p384' ? 'sha384' : 'sha256'
  if (scheme === 'pss')
    return (input) => sign(hash, input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
  if (scheme === 'pkcs1v15') return (input) => sign(hash, input, key)
  return (input) => sign(hash, input, { key, dsaEncoding: 'ieee-p1363' })
}

function rate(job: () => unknown): number {
  const start = performance.now()
  let count = 0
  for (; performance.now() - start < milliseconds / 4; count++) job()
  return (count * 1000) / (performance.now() - start)
}

function timed(job: () => unknown, times: number): number {
  const start = performance.now()
  for (let i = 0; i < times; i++) job()
  return (performance.now() - start) / times
}

function tableOf(measured: readonly Measured[]): string {
  const rows = measured.map(({ row, scheme, signed, bare, verified, made }) => [
    `\`${row.name}\``,
    `\`${scheme}\``,
    row.engine,
    thousands(signed),
    bare === null ? '–' : thousands(bare),
    thousands(verified),
    made < 0.1 ? '< 0.1' : made.toFixed(1),
    row.memory === 'locked' ? 'locked' : 'copies',
    row.constantTime,
  ])
  const head = [
    'Algorithm',
    'Scheme',
    'Engine',
    'Signatures/s',
    'Library/s',
    'Verified/s',
    'New key, ms',
    'Memory',
    'Constant time',
  ]
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((cells) => (cells[i] as string).length)))
  const line = (cells: readonly string[]) =>
    `| ${cells.map((cell, i) => cell.padEnd(widths[i] as number)).join(' | ')} |`
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...rows.map(line)].join('\n')
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}
