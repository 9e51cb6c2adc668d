import { randomBytes } from 'node:crypto'
import { EventEmitter } from 'node:events'
import type { Socket } from 'node:net'
import { factsOf, isAlgorithmName } from '@popsigner/crypto/algorithm-facts'
import { type CborValue, decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import { createLane } from '@popsigner/crypto/lane'
import { openConnection } from './connection.ts'
import type {
  Capabilities,
  CheckpointRequest,
  CheckpointResult,
  CreatedKey,
  CreatedLog,
  CreatedWrappingKey,
  ImportRequest,
  KeySpec,
  LogExtension,
  LogHead,
  Material,
  Narrowing,
  ProveResult,
  Root,
  SignAnswer,
  SignItem,
  SignResult,
  Statement,
  StatementRequest,
  StatementResult,
  WrappedKey,
} from './custodian.ts'
import { CustodyFault, type CustodyFaults } from './faults.ts'
import {
  answerBit,
  encodeFrame,
  type Frame,
  FrameReader,
  type Op,
  ops,
  protocolVersion,
  refusalOp,
} from './protocol.ts'
import { framedLength, maxItems, readSignAnswer, writeSignFrame } from './sign-frame.ts'

/** What a client needs to reach its signer. */
export interface SignerClientOptions {
  /** Path of the unix socket. */
  readonly socket: string
  readonly instance: string
  /** The 32 bytes both ends prove that they know. */
  readonly proof: Uint8Array
  /** The database's term, told in every hello. */
  readonly term: number
  /**
   * A request without an answer for so long ends the connection, and with it every request in flight. 15,000 unless
   * told.
   */
  readonly timeoutMs?: number
}

interface Waiting {
  readonly op: number
  readonly since: number
  readonly resolve: (payload: Buffer) => void
  readonly reject: (fault: CustodyFault) => void
}

type Answer = { readonly [key: string]: CborValue }

const defaultTimeoutMs = 15_000
const firstBackoffMs = 20
const lastBackoffMs = 1000
/** Above this a list of items is cut into several frames. */
const frameBudget = 4 * 1024 * 1024

/**
 * The server's end of the signer's socket. Any number of requests may be in flight. Every call throws `CustodyFault`:
 * the signer's refusal, or `custody.unavailable` when no signer is connected or the connection is lost before the
 * answer; then nobody knows what was done.
 *
 * Events: `connected` with the facts of the new connection (every log has to be proven again), `disconnected` with the
 * reason.
 */
export class SignerClient extends EventEmitter<{ connected: [Capabilities]; disconnected: [Error] }> {
  readonly #options: SignerClientOptions
  readonly #waiting = new Map<number, Waiting>()
  #socket: Socket | null = null
  #capabilities: Capabilities | null = null
  #nextId = 1
  /** For new keys that take long: those that wait here are not in flight, and time out for nobody. */
  readonly #slowLane = createLane(2)
  #closed = false
  #running: Promise<void> | null = null
  #retry: { readonly timer: NodeJS.Timeout; readonly wake: () => void } | null = null

  constructor(options: SignerClientOptions) {
    super()
    this.#options = { ...options, proof: new Uint8Array(options.proof) }
  }

  /** The facts of the present connection, null while there is none. */
  get capabilities(): Capabilities | null {
    return this.#capabilities
  }

  /**
   * Connects, and stays connected until `close`, trying again after 20 ms to 1 s. Resolves with the first connection.
   * Rejects only with what trying again cannot mend: a failed proof, another version, a term that is behind.
   */
  async connect(): Promise<Capabilities> {
    if (this.#running !== null) throw new TypeError('connect: called before')
    return new Promise((resolve, reject) => {
      this.once('connected', resolve)
      this.#running = this.#stayConnected((fault) => {
        this.#closed = true
        reject(fault)
      })
    })
  }

  /** Ends the connection; what is in flight fails with `custody.unavailable`. */
  async close(): Promise<void> {
    this.#closed = true
    this.#retry?.wake()
    this.#socket?.destroy()
    await this.#running
  }

  /** The signer's facts as they are now. */
  async hello(): Promise<Capabilities> {
    return (await this.#call('hello', {
      versions: [protocolVersion],
      term: this.#options.term,
    })) as unknown as Capabilities
  }

  /**
   * Begins the log of a new organization, which is proven on this connection with that. `log.exists` when there is one.
   */
  async createLog(organization: Uint8Array): Promise<CreatedLog> {
    const answer = await this.#call('createLog', { organization })
    return {
      organizationKey: toMaterial(answer['organization_key']),
      logKey: toMaterial(answer['log_key']),
      logPublicKey: answer['log_public_key'] as Uint8Array,
    }
  }

  /** Makes a key. The same record id and specification give the same key, as long as the signer runs. */
  async create(recordId: Uint8Array, organizationKey: Material, spec: KeySpec): Promise<CreatedKey> {
    const fields = { record: recordId, organization_key: ofMaterial(organizationKey), spec: ofKeySpec(spec) }
    const create = (): Promise<Answer> => this.#call('create', fields)
    const slow = isAlgorithmName(spec.algorithm) && factsOf(spec.algorithm).slow
    return toCreatedKey(await (slow ? this.#slowLane(create) : create()))
  }

  /**
   * Makes a wrapping key. `expiresAt` (`YYYY-MM-DDTHH:MM:SS.sssZ`) is in what the identity signs; keeping to it is the
   * server's part.
   */
  async createWrappingKey(organizationKey: Material, id: Uint8Array, expiresAt: string): Promise<CreatedWrappingKey> {
    const fields = { organization_key: ofMaterial(organizationKey), id, expires_at: expiresAt }
    const answer = await this.#call('createWrappingKey', fields)
    return {
      material: toMaterial(answer['material']),
      publicKey: answer['public_key'] as Uint8Array,
      signature: answer['signature'] as Uint8Array,
    }
  }

  /**
   * Takes a wrapped key in. `custody.import_refused` unless it was bound to exactly this specification and is a key.
   */
  async import(request: ImportRequest): Promise<CreatedKey> {
    const answer = await this.#call('import', {
      record: request.recordId,
      organization_key: ofMaterial(request.organizationKey),
      wrapping_key: ofMaterial(request.wrappingKey),
      spec: ofKeySpec(request.spec),
      public_key: request.publicKey,
      wrapped: { enc: request.wrapped.enc, ciphertext: request.wrapped.ciphertext },
    })
    return toCreatedKey(answer)
  }

  /** Wraps a key for a recipient (65 bytes). `custody.export_refused` unless its envelope allows that one. */
  async export(
    organizationKey: Material,
    material: Material,
    recipient: Uint8Array,
  ): Promise<WrappedKey & { readonly publicKey: Uint8Array }> {
    const fields = { organization_key: ofMaterial(organizationKey), material: ofMaterial(material), recipient }
    const { enc, ciphertext, public_key } = (await this.#call('export', fields)) as Record<string, Uint8Array>
    return { enc, ciphertext, publicKey: public_key } as WrappedKey & { readonly publicKey: Uint8Array }
  }

  /**
   * Signs a list, an answer per item in the same order. Throws `custody.unavailable` only when nothing was sent; once
   * something was, items without an answer are `unknown`. Lists beyond a frame travel as several. `RangeError` for an
   * item that has no form in a frame.
   */
  async sign(items: readonly SignItem[]): Promise<SignAnswer> {
    if (items.length <= maxItems && fits(items)) return this.#signFrame(items)
    const answers = await Promise.all(cut(items).map((some) => this.#signFrame(some)))
    return {
      results: answers.flatMap(({ results }) => results),
      statementDue: answers.flatMap(({ statementDue }) => statementDue),
    }
  }

  /** Narrows a key: its next generation; every older envelope is refused from then on. */
  async narrow(organizationKey: Material, material: Material, change: Narrowing): Promise<Material> {
    const answer = await this.#call('narrow', {
      organization_key: ofMaterial(organizationKey),
      material: ofMaterial(material),
      schemes: change.schemes === undefined ? null : [...change.schemes],
      uses: change.uses === undefined ? null : [...change.uses],
    })
    return toMaterial(answer['material'])
  }

  /**
   * Seals a signing, log or wrapping key that `from` sealed under `to`, another organization key of the same
   * organization.
   */
  async reseal(from: Material, to: Material, material: Material): Promise<Material> {
    const fields = { from: ofMaterial(from), to: ofMaterial(to), material: ofMaterial(material) }
    return toMaterial((await this.#call('reseal', fields))['material'])
  }

  /** Refuses these ids for good: of keys, or of organization keys under which nothing is left. At most 1,000. */
  async destroy(ids: readonly Uint8Array[]): Promise<void> {
    await this.#call('destroy', { ids: [...ids] })
  }

  /** Where the ledger says these logs stand, null for those it does not know. At most 1,000, as in the calls below. */
  async heads(organizations: readonly Uint8Array[]): Promise<readonly (LogHead | null)[]> {
    return (await this.#call('heads', { organizations: [...organizations] }))['heads'] as unknown as (LogHead | null)[]
  }

  /** Proves that logs extend the ledger, which opens them for signing on this connection. */
  async prove(extensions: readonly LogExtension[]): Promise<readonly ProveResult[]> {
    const answer = await this.#call('prove', { extensions: extensions.map(ofExtension) })
    return answer['results'] as unknown as ProveResult[]
  }

  /** Has checkpoints signed, each of a log that extends the ledger, which moves with it. */
  async checkpoint(requests: readonly CheckpointRequest[]): Promise<readonly CheckpointResult[]> {
    const list = requests.map((request) => ({
      ...ofExtension(request),
      organization_key: ofMaterial(request.organizationKey),
      log_key: ofMaterial(request.logKey),
    }))
    return (await this.#call('checkpoint', { requests: list }))['results'] as unknown as CheckpointResult[]
  }

  /** The next statement of each log that has anything to state. */
  async statement(requests: readonly StatementRequest[]): Promise<readonly StatementResult[]> {
    const list = requests.map(({ organization, last }) => ({ organization, last }))
    const answer = await this.#call('statement', { requests: list })
    const statements = answer['statements'] as unknown as { organization: Uint8Array; statement: string | null }[]
    return statements.map(({ organization, statement }) => ({
      organization,
      statement: statement === null ? null : (JSON.parse(statement) as Statement),
    }))
  }

  /** The open roots, oldest first; the last one seals. */
  async roots(): Promise<readonly Root[]> {
    return (await this.#call('roots', {}))['roots'] as unknown as Root[]
  }

  /** Opens a new root beside the present one. `seal.rotation_state` when there are two already. */
  async rotateRoot(): Promise<readonly Root[]> {
    return (await this.#call('rotateRoot', {}))['roots'] as unknown as Root[]
  }

  /** Seals an organization key under the newest root. */
  async resealOrganizationKey(organizationKey: Material): Promise<Material> {
    const fields = { organization_key: ofMaterial(organizationKey) }
    return toMaterial((await this.#call('resealOrganizationKey', fields))['material'])
  }

  /** Refuses every root but the newest for good: what was not resealed can never be opened again. */
  async retireRoot(): Promise<readonly Root[]> {
    return (await this.#call('retireRoot', {}))['roots'] as unknown as Root[]
  }

  /** Makes the organization's next key; `reseal` moves what is under the old one, `destroy` with its id ends it. */
  async rotateOrganizationKey(organizationKey: Material): Promise<Material> {
    const fields = { organization_key: ofMaterial(organizationKey) }
    return toMaterial((await this.#call('rotateOrganizationKey', fields))['material'])
  }

  /** 32 bytes for the MAC of one host action, good for five minutes. */
  async hostNonce(): Promise<Uint8Array> {
    return (await this.#call('hostNonce', {}))['nonce'] as Uint8Array
  }

  /** Forwards what the host authorized (`host-action.ts`). `custody.host_refused` unless it did. */
  async hostAction(nonce: Uint8Array, content: Uint8Array, mac: Uint8Array): Promise<void> {
    await this.#call('hostAction', { nonce, content, mac })
  }

  async #call(op: Op, fields: Answer): Promise<Answer> {
    const id = this.#takeId()
    return decodeCbor(await this.#send(id, ops[op], encodeFrame(id, ops[op], encodeCbor(fields)))) as Answer
  }

  async #signFrame(items: readonly SignItem[]): Promise<SignAnswer> {
    const id = this.#takeId()
    const frame = writeSignFrame(id, items)
    if (!this.#mayAsk(ops.sign)) throw new CustodyFault('custody.unavailable', null)
    try {
      return readSignAnswer(await this.#send(id, ops.sign, frame), items.length)
    } catch (error) {
      if (!(error instanceof CustodyFault) || error.code !== 'custody.unavailable') throw error
      return { results: items.map((): SignResult => ({ kind: 'unknown' })), statementDue: [] }
    }
  }

  #takeId(): number {
    const id = this.#nextId
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1
    return id
  }

  /** Hello comes first: until it is answered the signer refuses everything else. */
  #mayAsk(op: number): boolean {
    return this.#socket !== null && (this.#capabilities !== null || op === ops.hello)
  }

  #send(id: number, op: number, frame: Buffer): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      if (this.#socket === null || !this.#mayAsk(op)) {
        reject(new CustodyFault('custody.unavailable', null))
        return
      }
      this.#waiting.set(id, { op, since: Date.now(), resolve, reject })
      this.#socket.write(frame)
    })
  }

  #receive({ id, op, payload }: Frame): void {
    const waiting = this.#waiting.get(id)
    if (waiting === undefined) throw new RangeError('frame: answers nothing')
    this.#waiting.delete(id)
    if (op === (waiting.op | answerBit)) {
      waiting.resolve(payload)
      return
    }
    if (op !== refusalOp) throw new RangeError('frame: answers something else')
    const { code, detail } = decodeCbor(payload) as unknown as { code: keyof CustodyFaults; detail: object | null }
    waiting.reject(new CustodyFault(code, (detail === null ? null : { ...detail }) as never))
  }

  async #stayConnected(giveUp: (fault: CustodyFault) => void): Promise<void> {
    let backoffMs = firstBackoffMs
    let met = false
    while (!this.#closed) {
      try {
        await this.#connectOnce(() => {
          met = true
          backoffMs = firstBackoffMs
        })
      } catch (error) {
        if (!met && isLasting(error)) giveUp(error)
      }
      if (this.#closed) return
      await this.#pause(backoffMs)
      backoffMs = Math.min(2 * backoffMs, lastBackoffMs)
    }
  }

  /** One connection, from its beginning to its end. */
  async #connectOnce(met: () => void): Promise<void> {
    const { socket: path, instance, proof } = this.#options
    const { socket, rest } = await openConnection(path, { proof, instance }, randomBytes(32))
    const reader = new FrameReader((frame) => this.#receive(frame))
    const push = (chunk: Buffer): void => {
      try {
        reader.push(chunk)
      } catch (error) {
        socket.destroy(error instanceof Error ? error : undefined)
      }
    }
    let reason: Error = new CustodyFault('custody.unavailable', null)
    socket.on('error', (error) => {
      reason = error
    })
    const ended = new Promise<void>((resolve) =>
      socket.once('close', () => {
        this.#disconnect(reason)
        resolve()
      }),
    )
    socket.on('data', push)
    this.#socket = socket
    if (rest.length > 0) push(rest)
    socket.resume()
    const watch = setInterval(() => this.#cutSilent(socket), 1000)
    let shown = false
    try {
      if (this.#closed) socket.destroy()
      this.#capabilities = await this.hello()
      met()
      shown = true
      this.emit('connected', this.#capabilities)
      await ended
    } finally {
      clearInterval(watch)
      socket.destroy()
      this.#disconnect(reason)
      if (shown) this.emit('disconnected', reason)
    }
  }

  /** Whoever waits gets the same fault whatever ended the connection; the reason goes to the event. */
  #disconnect(reason: Error): void {
    this.#socket = null
    this.#capabilities = null
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(new CustodyFault('custody.unavailable', null, { cause: reason }))
  }

  #cutSilent(socket: Socket): void {
    const oldest = this.#waiting.values().next()
    const limit = this.#options.timeoutMs ?? defaultTimeoutMs
    if (oldest.done !== true && Date.now() - oldest.value.since > limit)
      socket.destroy(new CustodyFault('custody.unavailable', null))
  }

  async #pause(milliseconds: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      this.#retry = { timer, wake }
    })
    this.#retry = null
  }
}

const lasting: readonly (keyof CustodyFaults)[] = ['custody.handshake_failed', 'custody.term_behind']

/** A failure that another try would meet again. A signer that is silent or breaks off may just be starting. */
function isLasting(error: unknown): error is CustodyFault {
  if (!(error instanceof CustodyFault) || !lasting.includes(error.code)) return false
  const { detail } = error as CustodyFault<'custody.handshake_failed'>
  return error.code === 'custody.term_behind' || detail.reason !== 'silence'
}

function fits(items: readonly SignItem[]): boolean {
  let total = 0
  for (const item of items) total += framedLength(item)
  return total <= frameBudget
}

function cut(items: readonly SignItem[]): SignItem[][] {
  const lists: SignItem[][] = []
  let list: SignItem[] = []
  let total = 0
  for (const item of items) {
    const length = framedLength(item)
    if (list.length > 0 && (list.length === maxItems || total + length > frameBudget)) {
      lists.push(list)
      list = []
      total = 0
    }
    list.push(item)
    total += length
  }
  lists.push(list)
  return lists
}

function ofMaterial({ spec, envelope }: Material): Answer {
  return { spec, envelope }
}

function toMaterial(value: CborValue | undefined): Material {
  const { spec, envelope } = value as unknown as Material
  return { spec, envelope }
}

function toCreatedKey(answer: Answer): CreatedKey {
  return { material: toMaterial(answer['material']), publicKey: answer['public_key'] as Uint8Array }
}

function ofKeySpec({ organization, key, version, algorithm, schemes, uses, export: rule }: KeySpec): Answer {
  return { organization, key, version, algorithm, schemes: [...schemes], uses: [...uses], export: rule }
}

function ofExtension({ organization, from, size, root, path }: LogExtension): Answer {
  return { organization, from, size, root, path: [...path] }
}
