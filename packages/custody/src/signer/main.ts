/**
 * The signer process. Its configuration is one line of JSON on standard input (`config.ts`), its readiness one line of
 * JSON on standard output, its log JSON lines on standard error. Standard input stays open: when it closes, whoever
 * started the signer is gone, and it ends too.
 *
 * Everything is loaded and every file opened before the user id is dropped, so it needs no right to the program's own
 * files afterwards. Paths may be relative to the working directory, which may lie where the new user could not go by
 * name.
 */
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, closeSync, existsSync, lchownSync, readSync, rmSync } from 'node:fs'
import { flushCompileCache } from 'node:module'
import { connect } from 'node:net'
import { dirname, isAbsolute, join, normalize } from 'node:path'
import { hex } from '@popsigner/crypto/bytes'
import { ed25519 } from '@popsigner/crypto/ed25519'
import { createEntropy, kernelSource } from '@popsigner/crypto/entropy'
import { Secret, SecretArena } from '@popsigner/crypto/secret'
import { openPrivateFile, trustedOwners } from '../durable-file.ts'
import { readIdentity } from '../identity-file.ts'
import { readKeyFile, replaceKeyFile } from '../key-file.ts'
import { openLedger } from '../ledger.ts'
import { parseSignerConfig, type SignerConfig } from './config.ts'
import { createKeyring } from './keyring.ts'
import { inspectMemory } from './memory.ts'
import { createSignerServer, type Log, type SignerServer } from './serve.ts'
import type { Signer } from './state.ts'

const defaultSlots = 16_384
const maxConfigLength = 65_536
const drainLimitMs = 5000

const log: Log = (level, message, fields = {}) => {
  process.stderr.write(`${JSON.stringify({ level, time: new Date().toISOString(), msg: message, ...fields })}\n`)
}

main().catch((error: unknown) => {
  log('error', 'The signer did not start.', { error: error instanceof Error ? error.message : String(error) })
  process.exit(1)
})

async function main(): Promise<void> {
  process.umask(0o077)
  const config = parseSignerConfig(await readFirstLine())
  const signer = openSigner(config)
  await forgetRetiredRoots(signer)
  const proof = readKeyBytes(config.proofFile, trustedOwners(config.uid))
  const socket = createSignerServer(signer, proof, log)
  await listen(socket, config)
  // While it may still write there: no later start translates the source again.
  flushCompileCache()
  becomeUser(config)
  // As the user it now is: a ledger that cannot be written is found before the first signature waits for it.
  await signer.ledger.commit()
  const { boot, identity, memory } = signer
  const facts = { ready: true, pid: process.pid, boot, identity: identity.publicKeyHex, locked: memory.locked }
  process.stdout.write(`${JSON.stringify(facts)}\n`)
  endWith(signer, socket)
}

function openSigner(config: SignerConfig): Signer {
  const slots = config.arenaSlots ?? defaultSlots
  const arena = new SecretArena(slots)
  const { problem, ...memory } = inspectMemory(slots)
  if (problem !== null && config.allowUnlockedMemory !== true) throw new Error(problem)
  if (problem !== null) log('warn', 'Keys may be written to swap: memory is not locked.', { problem })

  const owners = trustedOwners(config.uid)
  giveFiles(config)
  const entropy = createEntropy(kernelSource)
  const ledger = openLedger(join(config.custody, 'ledger'), config.instance, Date.now())
  if (ledger.replacedAt !== null) log('warn', 'There was no ledger: the host has to hand a checkpoint of every log.')
  const identityFile = join(config.custody, 'identity')
  const roots = readKeyFile(config.keyFile, owners, arena)
  // Before the identity, which a key file brought back from a copy could not open either: this is the reason to name.
  if (!roots.some(({ sequence }) => sequence >= ledger.floor))
    throw new Error('The key file holds no root that the ledger still accepts.')
  const keyring = createKeyring({ instance: config.instance, arena, ledger, roots })
  const { spec, secret } = readIdentity(identityFile, config.instance, roots, () => arena.take(32))
  const handle = secret.spend((bytes) => ed25519.openSigner(bytes, arena))
  const publicKey = spec.publicKey as Uint8Array
  return {
    instance: config.instance,
    boot: randomBytes(16).toString('hex'),
    entropy,
    ledger,
    keyring,
    identity: { publicKey, publicKeyHex: hex(publicKey), handle },
    keyFile: config.keyFile,
    identityFile,
    hostKey: readKeyBytes(config.hostKeyFile, owners),
    hostNonces: new Map(),
    made: new Map(),
    memory,
    rootsBusy: false,
    now: Date.now,
  }
}

/** A retirement that broke off between ledger and key file is finished here. */
async function forgetRetiredRoots({ keyring, keyFile, ledger }: Signer): Promise<void> {
  const kept = keyring.roots.filter(({ sequence }) => sequence >= ledger.floor)
  if (kept.length === keyring.roots.length) return
  await replaceKeyFile(keyFile, kept)
  keyring.setRoots(kept)
  log('info', 'A root that was retired is gone from the key file.')
}

async function listen({ server }: SignerServer, config: SignerConfig): Promise<void> {
  if (existsSync(config.socket)) {
    if (await answers(config.socket)) throw new Error('Another signer listens on this socket.')
    rmSync(config.socket)
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(config.socket, resolve)
  })
  if (config.socketGroup !== undefined)
    chownSync(config.socket, config.uid ?? process.getuid?.() ?? 0, config.socketGroup)
  else if (config.uid !== undefined && config.gid !== undefined) chownSync(config.socket, config.uid, config.gid)
  chmodSync(config.socket, config.socketMode ?? 0o600)
}

/**
 * Gives the user that the signer becomes what it writes later: key file, identity, ledger and their directories. Only
 * below the working directory: a key file elsewhere lies in a directory that may hold other things, and whoever put it
 * there says who may write.
 */
function giveFiles({ uid, gid, custody, keyFile }: SignerConfig): void {
  if (uid === undefined || gid === undefined) return
  const own = [custody, join(custody, 'identity'), join(custody, 'ledger'), dirname(keyFile), keyFile]
  for (const path of own) {
    const below = !isAbsolute(path) && normalize(path) !== '.' && !normalize(path).startsWith('..')
    // Never through a link: the directories belong to a user who could have put one there.
    if (below && existsSync(path)) lchownSync(path, uid, gid)
  }
}

function becomeUser({ uid, gid }: SignerConfig): void {
  if (uid === undefined || gid === undefined) return
  process.setgroups?.([])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

function endWith(signer: Signer, socket: SignerServer): void {
  let ending = false
  const end = (reason: string): void => {
    if (ending) return
    ending = true
    log('info', 'The signer ends.', { reason })
    setTimeout(() => process.exit(1), drainLimitMs).unref()
    socket
      .drain()
      .then(() => signer.ledger.close())
      .then(
        () => {
          signer.keyring.clear()
          process.exit(0)
        },
        () => process.exit(1),
      )
  }
  process.on('SIGTERM', () => end('SIGTERM'))
  process.on('SIGINT', () => end('SIGINT'))
  process.stdin.on('end', () => end('standard input closed'))
  process.stdin.on('error', () => end('standard input closed'))
  // It may have closed while the files were opened.
  if (process.stdin.readableEnded) end('standard input closed')
  process.stdin.resume()
}

/** The first line of standard input; what follows it is ignored. */
async function readFirstLine(): Promise<string> {
  return new Promise((resolve, reject) => {
    let held = ''
    const take = (chunk: string): void => {
      held += chunk
      const end = held.indexOf('\n')
      if (end === -1 && held.length <= maxConfigLength) return
      process.stdin.off('data', take)
      if (end === -1) reject(new Error('configuration: longer than any configuration'))
      else resolve(held.slice(0, end))
    }
    process.stdin.setEncoding('utf8')
    process.stdin.on('data', take)
    process.stdin.once('end', () => reject(new Error('configuration: standard input ended before a line')))
  })
}

function readKeyBytes(path: string, owners: readonly number[]): Secret {
  const file = openPrivateFile(path, owners)
  const secret = Secret.allocate(32)
  try {
    const whole =
      secret.use((into) => readSync(file, into, 0, 32, 0)) === 32 && readSync(file, new Uint8Array(1), 0, 1, 32) === 0
    if (whole) return secret
    secret.wipe()
    throw new RangeError(`${path}: expected 32 bytes`)
  } finally {
    closeSync(file)
  }
}

async function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path)
    probe.once('connect', () => {
      probe.destroy()
      resolve(true)
    })
    probe.once('error', () => resolve(false))
  })
}
