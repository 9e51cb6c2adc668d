/**
 * For tests: a signer process of its own in a temporary directory, the log of an organization kept in memory, and
 * leaves for it.
 */

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import {
  type AlgorithmName,
  factsOf,
  type HashName,
  isAlgorithmName,
  type SchemeFacts,
  schemeOf,
} from '@popsigner/crypto/algorithm-facts'
import { algorithm } from '@popsigner/crypto/algorithms'
import { hex } from '@popsigner/crypto/bytes'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { hashWith } from '@popsigner/crypto/hash'
import { sha256 } from '@popsigner/crypto/hash-native'
import { Secret } from '@popsigner/crypto/secret'
import { encodeTypeId } from '@popsigner/crypto/typeid'
import { createFrontier, leafHash } from '@popsigner/transparency/merkle'
import { buildLeaf } from '@popsigner/transparency/record'
import { consistencyPath, inclusionPath, type TileSource } from '@popsigner/transparency/tiles'
import { SignerClient } from './client.ts'
import type { CreatedKey, CreatedLog, KeySpec, LogExtension, SignItem, SignResult, Use } from './custodian.ts'
import type { SignerConfig } from './signer/config.ts'
import { createKeyBytes, initializeCustody } from './signer/init.ts'
import { signerArguments } from './signer-process.ts'
import { parseSpec } from './spec.ts'

export const instance = 'keys.example.com'

/** A data directory with a new custody in it. */
export interface Place {
  readonly directory: string
  readonly config: SignerConfig
  readonly identity: Uint8Array
  remove(): void
}

export async function makePlace(): Promise<Place> {
  const directory = mkdtempSync(join(tmpdir(), 'custody-'))
  const entropy = createEntropy(kernelSource)
  const custody = join(directory, 'custody')
  const identity = await initializeCustody({
    directory: custody,
    keyFile: join(directory, 'seal/root.key'),
    instance,
    entropy,
  })
  await createKeyBytes(join(custody, 'proof.key'), entropy)
  await createKeyBytes(join(custody, 'host.key'), entropy)
  const config = {
    instance,
    custody: 'custody',
    keyFile: 'seal/root.key',
    socket: join(directory, 's.sock'),
    proofFile: 'custody/proof.key',
    hostKeyFile: 'custody/host.key',
    arenaSlots: 256,
  }
  return { directory, config, identity, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** A running signer process. */
export interface RunningSigner {
  readonly child: ChildProcess
  readonly ready: { readonly boot: string; readonly identity: string; readonly locked: boolean }
  /** Kills it and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<number | null>
}

/** Starts a signer and waits until it is ready. Rejects with its log when it ends before. */
export async function startSigner(place: Place, changes: Partial<SignerConfig> = {}): Promise<RunningSigner> {
  const child = spawn(process.execPath, signerArguments, { cwd: place.directory, stdio: ['pipe', 'pipe', 'pipe'] })
  let log = ''
  child.stderr.on('data', (chunk) => (log += String(chunk)))
  const gone = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)))
  child.stdin.write(`${JSON.stringify({ ...place.config, ...changes })}\n`)
  const lines = createInterface({ input: child.stdout })
  const line = await new Promise<string>((resolve, reject) => {
    lines.once('line', resolve)
    child.once('exit', () => setImmediate(() => reject(new Error(log))))
  })
  return {
    child,
    ready: JSON.parse(line) as RunningSigner['ready'],
    async kill(signal = 'SIGKILL') {
      child.kill(signal)
      return gone
    },
  }
}

/** A client of the place's signer, connected. */
export async function connectTo(place: Place, term = 0): Promise<SignerClient> {
  const proof = new Uint8Array(readFileSync(join(place.directory, 'custody/proof.key')))
  const client = new SignerClient({ socket: place.config.socket, instance, proof, term })
  await client.connect()
  return client
}

/** A signer and a client of it, for the tests of a file. */
export interface Rig {
  readonly place: Place
  /** The process that runs now. */
  readonly running: RunningSigner
  readonly client: SignerClient
  /** Starts the signer again after it was killed. */
  start(): Promise<void>
  /** Kills the signer, does something to its files, and starts it again; the client comes back by itself. */
  restart(meanwhile?: () => void, signal?: NodeJS.Signals): Promise<void>
  close(): Promise<void>
}

/** Starts both in a new place. */
export async function startRig(): Promise<Rig> {
  const place = await makePlace()
  let running = await startSigner(place)
  const client = await connectTo(place)
  const start = async (): Promise<void> => {
    running = await startSigner(place)
  }
  return {
    place,
    get running() {
      return running
    },
    client,
    start,
    async restart(meanwhile = () => undefined, signal = 'SIGKILL') {
      const gone = new Promise((resolve) => client.once('disconnected', resolve))
      await running.kill(signal)
      await gone
      meanwhile()
      const back = new Promise((resolve) => client.once('connected', resolve))
      await start()
      await back
    },
    async close() {
      await client.close()
      await running.kill('SIGTERM')
      place.remove()
    },
  }
}

/** 16 random bytes with the time of now in front, as a UUIDv7 has it. */
export function newId(): Uint8Array {
  const id = new Uint8Array(randomBytes(16))
  new DataView(id.buffer).setUint32(0, Math.floor(Date.now() / 0x1_0000))
  new DataView(id.buffer).setUint16(4, Date.now() % 0x1_0000)
  return id
}

/** An organization's log in memory. */
export class TestLog {
  readonly organization: Uint8Array
  readonly keys: CreatedLog
  readonly leaves: Uint8Array[] = []
  readonly #hashes: Uint8Array[] = []

  constructor(organization: Uint8Array, keys: CreatedLog) {
    this.organization = organization
    this.keys = keys
  }

  get name(): string {
    return `${instance}/${encodeTypeId('org', this.organization)}`
  }

  get size(): number {
    return this.leaves.length
  }

  append(leaf: Uint8Array): number {
    this.leaves.push(leaf)
    this.#hashes.push(leafHash(leaf))
    return this.leaves.length - 1
  }

  root(size: number = this.size): Uint8Array {
    const frontier = createFrontier()
    for (const hash of this.#hashes.slice(0, size)) frontier.append(hash)
    return frontier.root()
  }

  async extension(from: number, size: number = this.size): Promise<LogExtension> {
    const path = from === 0 || from === size ? [] : await consistencyPath(this.#tiles(), from, size)
    return { organization: this.organization, from, size, root: this.root(size), path }
  }

  async inclusion(index: number, size: number): Promise<Uint8Array[]> {
    return inclusionPath(this.#tiles(), index, size)
  }

  #tiles(): TileSource {
    return {
      hashes: async (level, index) => {
        if (level !== 0) throw new Error('a test log has one level')
        const some = this.#hashes.slice(index * 256, index * 256 + 256)
        return new Uint8Array(Buffer.concat(some))
      },
    }
  }
}

/** A connected client with one organization whose log is empty. */
export async function makeLog(client: SignerClient): Promise<TestLog> {
  const organization = newId()
  return new TestLog(organization, await client.createLog(organization))
}

export async function makeKey(client: SignerClient, log: TestLog, changes: Partial<KeySpec> = {}): Promise<CreatedKey> {
  const algorithm = changes.algorithm ?? 'secp256k1'
  const [scheme] = factsOf(isAlgorithmName(algorithm) ? algorithm : 'secp256k1').schemes
  return client.create(newId(), log.keys.organizationKey, {
    organization: log.organization,
    key: newId(),
    version: 1,
    algorithm,
    schemes: [scheme.name],
    uses: scheme.prehashed ? ['transaction', 'message', 'raw', 'digest'] : ['transaction', 'message', 'raw'],
    export: 'none',
    ...changes,
  })
}

/** What a test changes about an item, and about the leaf that is made for it. */
export interface ItemChanges {
  readonly item?: Partial<SignItem>
  readonly leaf?: Record<string, unknown>
}

/** An item that the signer signs, its leaf appended to the log. */
export function makeItem(
  log: TestLog,
  key: CreatedKey,
  data: Uint8Array,
  input: Use = 'raw',
  hash?: HashName,
): SignItem {
  const spec = parseSpec(key.material.spec)
  const scheme = schemeOf(factsOf(spec.algorithm as AlgorithmName), spec.schemes[0] as string) as SchemeFacts
  const chosen = input === 'raw' ? (hash ?? scheme.hashes[0] ?? null) : null
  const given = input === 'digest' || (input !== 'raw' && scheme.input === 'digest')
  const digest = given ? data : hashWith(chosen ?? 'sha256', data)
  const recordId = newId()
  const leaf = buildLeaf({
    log: log.name,
    id: encodeTypeId('rec', recordId),
    time: new Date().toISOString(),
    event: 'key.signed',
    actor: encodeTypeId('ak', newId()),
    key: encodeTypeId('key', spec.key),
    version: spec.version,
    public_key: hex(key.publicKey),
    algorithm: spec.algorithm as string,
    scheme: scheme.name,
    input,
    ...(chosen === null ? {} : { hash: chosen }),
    digest: hex(digest),
    data_hash: hex(sha256(data)),
    ...(input === 'transaction' || input === 'message' ? { chain: 'eip155:1', effects: hex(sha256(data)) } : {}),
  })
  return {
    recordId,
    attempt: 1,
    leaf,
    index: log.append(leaf),
    deadline: Date.now() + 10_000,
    organizationKey: log.keys.organizationKey,
    material: key.material,
    scheme: scheme.name,
    input,
    hash: chosen,
    data,
  }
}

/** A new private key of this algorithm. */
export async function newSecret(name: AlgorithmName): Promise<Uint8Array> {
  const row = algorithm(name)
  const secret = Secret.allocate(row.secretLength)
  const entropy = createEntropy(kernelSource)
  if (row.generateLater) await row.generateLater(entropy, secret)
  else secret.use((into) => row.generate(entropy, into))
  return secret.spend((bytes) => bytes.slice())
}

/** The signature of a result; fails the test for anything else. */
export function signatureOf(result: SignResult | undefined): Uint8Array {
  if (result?.kind !== 'signed') throw new Error(`not signed: ${JSON.stringify(result)}`)
  return result.signature
}

/** The refusal of a result, or what it was instead. */
export function refusalOf(result: SignResult | undefined): string {
  return result?.kind === 'refused' ? result.code : (result?.kind ?? 'nothing')
}
