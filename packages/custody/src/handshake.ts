import { timingSafeEqual } from 'node:crypto'
import { assertBytes, concat, utf8 } from '@popsigner/crypto/bytes'
import { hmacSha256 } from '@popsigner/crypto/hash-native'
import { CustodyFault } from './faults.ts'
import { protocolVersion } from './protocol.ts'

/**
 * Before the first frame both ends prove that they know the same 32 bytes (DESIGN.md section 8):
 *
 *     signer → client   "POPSIGN" 0x01 ‖ u16be version ‖ role 1 ‖ nonce (32)
 *     client → signer   "POPSIGN" 0x01 ‖ u16be version ‖ role 2 ‖ nonce (32) ‖ proof of the client (32)
 *     signer → client   0x00 ‖ proof of the signer (32), or one byte with the reason of the refusal, and the end
 *
 * proof = HMAC-SHA-256(the 32 bytes, "popsigner/v1/handshake" 0x00 ‖ role ‖ signer's nonce ‖ client's nonce ‖ u16be
 * version ‖ instance). The role in it is the prover's, so neither proof can be sent back as the other.
 */
export const roles = { signer: 1, client: 2 } as const

const magic = concat(utf8('POPSIGN'), Uint8Array.of(1))
const label = concat(utf8('popsigner/v1/handshake'), Uint8Array.of(0))
const helloLength = magic.length + 2 + 1 + 32

/** Length of each message in bytes, so that a reader knows when it has one. */
export const greetingLength: number = helloLength
/** Length of the client's message. */
export const clientProofLength: number = helloLength + 32
/** Length of the signer's last message when it accepts. */
export const signerProofLength = 33

/** How long the signer waits for a client to prove itself, in milliseconds. */
export const handshakeTimeoutMs = 2000

/** Reasons of a refusal as they travel, from 1. */
const reasons = ['malformed', 'version', 'role', 'proof', 'silence'] as const
/** Why a handshake failed. */
export type HandshakeReason = (typeof reasons)[number]

/** What both ends must agree on. */
export interface Secrets {
  /** 32 bytes. */
  readonly proof: Uint8Array
  readonly instance: string
}

/** The signer's first message. `nonce` is fresh for each connection: replayed answers then prove nothing. */
export function greet(nonce: Uint8Array): Uint8Array {
  return writeHello(roles.signer, nonce)
}

/** The client's answer to a greeting, and the nonce it used. Throws the fault that ends the connection. */
export function answerGreeting(greeting: Uint8Array, nonce: Uint8Array, secrets: Secrets): Uint8Array {
  const theirs = readHello(greeting, roles.signer)
  if (typeof theirs === 'string') throw new CustodyFault('custody.handshake_failed', { reason: theirs })
  return concat(writeHello(roles.client, nonce), prove(roles.client, theirs, nonce, secrets))
}

/** The signer's verdict on the client's answer: its own proof, or the reason for the refusal. */
export function judgeClient(nonce: Uint8Array, answer: Uint8Array, secrets: Secrets): Uint8Array | HandshakeReason {
  if (answer.length !== clientProofLength) return 'malformed'
  const theirs = readHello(answer.subarray(0, helloLength), roles.client)
  if (typeof theirs === 'string') return theirs
  const expected = prove(roles.client, nonce, theirs, secrets)
  if (!timingSafeEqual(expected, answer.subarray(helloLength))) return 'proof'
  return concat(Uint8Array.of(0), prove(roles.signer, nonce, theirs, secrets))
}

/** The one byte that tells a client why it was refused. */
export function refuseClient(reason: HandshakeReason): Uint8Array {
  return Uint8Array.of(reasons.indexOf(reason) + 1)
}

/**
 * Checks the signer's verdict. Throws the fault that ends the connection, also when the signer's own proof is wrong.
 */
export function checkVerdict(greeting: Uint8Array, nonce: Uint8Array, verdict: Uint8Array, secrets: Secrets): void {
  const code = verdict[0] ?? 0
  if (code !== 0) throw new CustodyFault('custody.handshake_failed', { reason: reasons[code - 1] ?? 'malformed' })
  const theirs = readHello(greeting, roles.signer)
  const right =
    typeof theirs !== 'string' &&
    verdict.length === signerProofLength &&
    timingSafeEqual(prove(roles.signer, theirs, nonce, secrets), verdict.subarray(1))
  if (!right) throw new CustodyFault('custody.handshake_failed', { reason: 'proof' })
}

function writeHello(role: number, nonce: Uint8Array): Uint8Array {
  assertBytes(nonce, 'nonce', 32)
  return concat(magic, u16(protocolVersion), Uint8Array.of(role), nonce)
}

function readHello(bytes: Uint8Array, role: number): Uint8Array | HandshakeReason {
  if (bytes.length !== helloLength || magic.some((byte, i) => bytes[i] !== byte)) return 'malformed'
  const version = ((bytes[magic.length] as number) << 8) | (bytes[magic.length + 1] as number)
  if (version !== protocolVersion) return 'version'
  if (bytes[magic.length + 2] !== role) return 'role'
  return bytes.subarray(magic.length + 3)
}

function prove(role: number, signerNonce: Uint8Array, clientNonce: Uint8Array, secrets: Secrets): Uint8Array {
  assertBytes(secrets.proof, 'proof', 32)
  const parts = [label, Uint8Array.of(role), signerNonce, clientNonce, u16(protocolVersion), utf8(secrets.instance)]
  return hmacSha256(secrets.proof, ...parts)
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff)
}
