import { createServer, type Server, type Socket } from 'node:net'
import { encodeCbor } from '@popsigner/crypto/cbor'
import { EntropyFailure } from '@popsigner/crypto/entropy'
import type { Secret } from '@popsigner/crypto/secret'
import { CustodyFault } from '../faults.ts'
import {
  clientProofLength,
  greet,
  type HandshakeReason,
  handshakeTimeoutMs,
  judgeClient,
  refuseClient,
} from '../handshake.ts'
import { answerBit, encodeFrame, type Frame, FrameReader, type Op, ops, refusalOp } from '../protocol.ts'
import { hello } from './hello.ts'
import { hostAction, hostNonce } from './host.ts'
import { create, createWrappingKey, destroy, exportKey, importKey, narrow, reseal } from './keys.ts'
import { checkpoint, createLog, heads, prove, statement } from './logs.ts'
import { type Fields, refuse } from './payload.ts'
import { resealOrganizationKey, retireRoot, roots, rotateOrganizationKey, rotateRoot } from './roots.ts'
import { sign } from './sign.ts'
import type { Session, Signer } from './state.ts'

/** What a line of the signer's log may hold. */
export type Log = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields?: Record<string, string | number | boolean>,
) => void

/** A signer's socket. */
export interface SignerServer {
  readonly server: Server
  /** Stops accepting, answers what is in flight, ends every connection. */
  drain(): Promise<void>
}

type Handler = (signer: Signer, session: Session, payload: Uint8Array) => Fields | Promise<Fields>

/** Every operation but `sign`, whose answer is no map, and `hostAction`, which concerns every connection. */
const handlers: Record<Exclude<Op, 'sign' | 'hostAction'>, Handler> = {
  hello,
  createLog,
  create,
  createWrappingKey,
  import: importKey,
  export: exportKey,
  narrow,
  reseal,
  destroy,
  heads,
  prove,
  checkpoint,
  statement,
  roots,
  rotateRoot,
  resealOrganizationKey,
  retireRoot,
  rotateOrganizationKey,
  hostNonce,
}

const byNumber: ReadonlyMap<number, Handler> = new Map(
  Object.entries(handlers).map(([name, handler]) => [ops[name as Op], handler]),
)

/** Connections at a time. */
const connectionLimit = 64
/** Operations of one connection that wait for the disk or for another thread; above that it is not read. */
const waitingLimit = 64

/**
 * Makes the socket's server; the caller lets it listen. Frames of a connection are handled in the order they arrive.
 */
export function createSignerServer(signer: Signer, proof: Secret, log: Log): SignerServer {
  const connections = new Set<Connection>()
  const sessions = function* (): Generator<Session> {
    for (const { session } of connections) yield session
  }
  const server = createServer((socket) => {
    const connection = new Connection({ signer, proof, log, sessions }, socket)
    connections.add(connection)
    socket.on('close', () => connections.delete(connection))
  })
  server.maxConnections = connectionLimit
  return {
    server,
    async drain() {
      server.close()
      await Promise.all([...connections].map((connection) => connection.drain()))
    },
  }
}

interface ConnectionPorts {
  readonly signer: Signer
  readonly proof: Secret
  readonly log: Log
  readonly sessions: () => Iterable<Session>
}

class Connection {
  readonly session: Session = { greeted: false, proven: new Set() }
  readonly #ports: ConnectionPorts
  readonly #socket: Socket
  readonly #nonce = new Uint8Array(32)
  readonly #frames: FrameReader
  #handshake: Buffer | null = Buffer.alloc(0)
  #waiting = 0
  #idle: (() => void) | null = null

  constructor(ports: ConnectionPorts, socket: Socket) {
    this.#ports = ports
    this.#socket = socket
    this.#frames = new FrameReader((frame) => this.#handle(frame))
    const silence = setTimeout(() => this.#refuse('silence'), handshakeTimeoutMs)
    socket.on('close', () => clearTimeout(silence))
    socket.on('error', () => socket.destroy())
    socket.on('drain', () => this.#read())
    socket.on('data', (chunk) => {
      try {
        if (this.#handshake === null) this.#frames.push(chunk)
        else this.#prove(Buffer.concat([this.#handshake, chunk]), silence)
      } catch {
        // The stream cannot be followed any further.
        socket.destroy()
      }
    })
    try {
      ports.signer.entropy.fill(this.#nonce)
      socket.write(greet(this.#nonce))
    } catch {
      // Without fresh nonces an old answer would prove itself again.
      socket.destroy()
    }
  }

  /** Answers what is in flight, then ends the connection. */
  async drain(): Promise<void> {
    this.#socket.pause()
    if (this.#waiting > 0) await new Promise<void>((resolve) => (this.#idle = resolve))
    this.#socket.end(() => this.#socket.destroy())
  }

  #prove(held: Buffer, silence: NodeJS.Timeout): void {
    this.#handshake = held
    if (held.length < clientProofLength) return
    clearTimeout(silence)
    const { signer, proof } = this.#ports
    const answer = held.subarray(0, clientProofLength)
    const verdict = proof.use((bytes) => judgeClient(this.#nonce, answer, { proof: bytes, instance: signer.instance }))
    if (typeof verdict === 'string') {
      this.#refuse(verdict)
      return
    }
    this.#socket.write(verdict)
    this.#handshake = null
    if (held.length > clientProofLength) this.#frames.push(held.subarray(clientProofLength))
  }

  #refuse(reason: HandshakeReason): void {
    this.#ports.log('warn', 'A client did not prove itself.', { reason })
    this.#socket.end(refuseClient(reason), () => this.#socket.destroy())
    this.#socket.pause()
  }

  #handle({ id, op, payload }: Frame): void {
    const { signer, sessions } = this.#ports
    try {
      const handler = byNumber.get(op)
      if (!this.session.greeted && op !== ops.hello) throw refuse('hello comes first')
      if (op === ops.sign) {
        const answer = sign(signer, this.session, payload, id)
        if (answer instanceof Promise) this.#writeLater(id, op, answer)
        else this.#write(answer)
        return
      }
      if (handler === undefined && op !== ops.hostAction) throw refuse('unknown operation')
      const answer =
        handler === undefined ? hostAction(signer, sessions(), payload) : handler(signer, this.session, payload)
      if (answer instanceof Promise)
        this.#writeLater(
          id,
          op,
          answer.then((map) => encodeFrame(id, op | answerBit, encodeCbor(map))),
        )
      else this.#write(encodeFrame(id, op | answerBit, encodeCbor(answer)))
    } catch (error) {
      this.#write(this.#refusal(id, op, error))
    }
  }

  #writeLater(id: number, op: number, answer: Promise<Buffer>): void {
    this.#waiting++
    if (this.#waiting >= waitingLimit) this.#socket.pause()
    void answer
      .catch((error: unknown) => this.#refusal(id, op, error))
      .then((frame) => {
        this.#waiting--
        this.#write(frame)
        this.#read()
        if (this.#waiting === 0) this.#idle?.()
      })
  }

  #write(frame: Buffer): void {
    // A client that does not read its answers is not read either.
    if (!this.#socket.write(frame)) this.#socket.pause()
  }

  #read(): void {
    if (this.#idle === null && this.#waiting < waitingLimit && !this.#socket.writableNeedDrain) this.#socket.resume()
  }

  #refusal(id: number, op: number, error: unknown): Buffer {
    let fault: CustodyFault
    if (error instanceof CustodyFault) fault = error as CustodyFault
    else if (error instanceof EntropyFailure) fault = new CustodyFault('custody.entropy_failed', null)
    else fault = new CustodyFault('custody.failed', null)
    // Messages of errors name arguments and lengths, never values.
    if (fault !== error)
      this.#ports.log('error', 'An operation failed.', { op, error: String((error as Error).message) })
    return encodeFrame(id, refusalOp, encodeCbor({ code: fault.code, detail: fault.detail as never }))
  }
}
