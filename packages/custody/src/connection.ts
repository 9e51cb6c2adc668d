import { connect, type Socket } from 'node:net'
import { CustodyFault } from './faults.ts'
import {
  answerGreeting,
  checkVerdict,
  greetingLength,
  handshakeTimeoutMs,
  type Secrets,
  signerProofLength,
} from './handshake.ts'

/**
 * Connects to a signer's socket and goes through the handshake. Resolves with the socket, paused, and what came behind
 * the handshake; rejects with `custody.handshake_failed`, or with the socket's own error, after which the socket is
 * gone.
 */
export async function openConnection(
  path: string,
  secrets: Secrets,
  nonce: Uint8Array,
): Promise<{ readonly socket: Socket; readonly rest: Buffer }> {
  const socket = connect(path)
  return new Promise((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0)
    let greeting: Uint8Array | null = null
    const silence = setTimeout(
      () => fail(new CustodyFault('custody.handshake_failed', { reason: 'silence' })),
      2 * handshakeTimeoutMs,
    )
    const fail = (error: unknown): void => {
      clearTimeout(silence)
      socket.destroy()
      reject(error)
    }
    const take = (chunk: Buffer): void => {
      held = Buffer.concat([held, chunk])
      try {
        if (greeting === null) {
          if (held.length < greetingLength) return
          greeting = held.subarray(0, greetingLength)
          held = held.subarray(greetingLength)
          socket.write(answerGreeting(greeting, nonce, secrets))
        }
        // A refusal is one byte and never zero.
        const length = held[0] === 0 ? signerProofLength : 1
        if (held.length < length) return
        checkVerdict(greeting, nonce, held.subarray(0, length), secrets)
        clearTimeout(silence)
        socket.pause()
        socket.off('data', take).off('error', fail).off('close', close)
        resolve({ socket, rest: held.subarray(length) })
      } catch (error) {
        fail(error)
      }
    }
    const close = (): void => fail(new CustodyFault('custody.unavailable', null))
    socket.on('data', take).on('error', fail).on('close', close)
  })
}
