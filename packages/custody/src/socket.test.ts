import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { concat, utf8 } from '@popsigner/crypto/bytes'
import { decodeCbor, encodeCbor } from '@popsigner/crypto/cbor'
import fc from 'fast-check'
import { SignerClient } from './client.ts'
import { openConnection } from './connection.ts'
import { answerGreeting, clientProofLength, greet, greetingLength, judgeClient } from './handshake.ts'
import { allocateFrame, encodeFrame, type Frame, FrameReader, maxFrameLength, ops, refusalOp } from './protocol.ts'
import { writeSignFrame } from './sign-frame.ts'
import {
  connectTo,
  instance,
  makeItem,
  makeKey,
  makeLog,
  makePlace,
  newId,
  type Place,
  type RunningSigner,
  startSigner,
} from './signer.fixture.ts'

let place: Place
let running: RunningSigner
let client: SignerClient
let proof: Uint8Array

before(async () => {
  place = await makePlace()
  running = await startSigner(place)
  client = await connectTo(place)
  proof = new Uint8Array(readFileSync(join(place.directory, 'custody/proof.key')))
})
after(async () => {
  await client.close()
  await running.kill('SIGTERM')
  place.remove()
})

/** The signer is the one that was started, and serves. */
async function isWell(): Promise<void> {
  assert.equal(running.child.exitCode, null)
  assert.equal((await client.hello()).boot, running.ready.boot)
}

/** Sends bytes to a new connection and answers all that came back until it was closed. */
async function exchange(answer: (greeting: Buffer) => Uint8Array | null): Promise<Buffer> {
  const socket = connect(place.config.socket)
  let held = Buffer.alloc(0)
  let answered = false
  return new Promise((resolve) => {
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk])
      if (answered || held.length < greetingLength) return
      answered = true
      const bytes = answer(held.subarray(0, greetingLength))
      if (bytes !== null) socket.write(bytes)
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(held.subarray(greetingLength)))
  })
}

const reasons = { malformed: 1, version: 2, role: 3, proof: 4, silence: 5 }

test('a client with a wrong secret, of another instance, role or version, or of no form is refused and cut', async () => {
  const nonce = new Uint8Array(randomBytes(32))
  const good = (greeting: Uint8Array): Uint8Array => answerGreeting(greeting, nonce, { proof, instance })
  const changed = (at: number, value: number) => (greeting: Uint8Array) =>
    good(greeting).map((byte, i) => (i === at ? value : byte))
  const cases: [string, number, (greeting: Uint8Array) => Uint8Array][] = [
    ['secret', reasons.proof, (greeting) => answerGreeting(greeting, nonce, { proof: new Uint8Array(32), instance })],
    [
      'instance',
      reasons.proof,
      (greeting) => answerGreeting(greeting, nonce, { proof, instance: 'other.example.com' }),
    ],
    ['version', reasons.version, changed(9, 2)],
    ['role', reasons.role, changed(10, 1)],
    ['form', reasons.malformed, changed(0, 0)],
    ['nonce', reasons.proof, (greeting) => good(greeting).map((byte, i) => (i === 11 ? byte ^ 1 : byte))],
    ['its own greeting sent back', reasons.role, (greeting) => concat(greeting, new Uint8Array(32))],
  ]
  for (const [name, reason, answer] of cases) assert.deepEqual([...(await exchange(answer))], [reason], name)
  await isWell()
})

test('the answer of an earlier connection proves nothing on another', async () => {
  let recorded = new Uint8Array(0)
  const nonce = new Uint8Array(randomBytes(32))
  const socket = connect(place.config.socket)
  await new Promise<void>((resolve) => {
    socket.once('data', (greeting: Buffer) => {
      recorded = new Uint8Array(answerGreeting(greeting.subarray(0, greetingLength), nonce, { proof, instance }))
      socket.write(recorded)
      socket.once('data', (verdict: Buffer) => {
        assert.equal(verdict[0], 0)
        resolve()
      })
    })
  })
  socket.destroy()
  assert.deepEqual([...(await exchange(() => recorded))], [reasons.proof])
})

test('a client that stays silent is cut after two seconds', async () => {
  const began = Date.now()
  assert.deepEqual([...(await exchange(() => null))], [reasons.silence])
  const took = Date.now() - began
  assert.ok(took > 1500 && took < 4000, `${took} ms`)
})

test('the client refuses a signer that does not know the secret, whatever it answers', async () => {
  const path = join(tmpdir(), `c-${randomBytes(6).toString('hex')}.sock`)
  let verdict: Uint8Array = new Uint8Array(33)
  const impostor = createServer((socket: Socket) => {
    socket.on('error', () => undefined)
    socket.write(greet(new Uint8Array(randomBytes(32))))
    socket.on('data', () => socket.write(verdict))
  })
  await new Promise<void>((resolve) => impostor.listen(path, resolve))
  try {
    const tryIt = async (): Promise<void> => {
      const connected = new SignerClient({ socket: path, instance, proof, term: 0 })
      await connected.connect()
    }
    await assert.rejects(tryIt(), { code: 'custody.handshake_failed', detail: { reason: 'proof' } })
    verdict = Uint8Array.of(reasons.version)
    await assert.rejects(tryIt(), { code: 'custody.handshake_failed', detail: { reason: 'version' } })
    // An echo of the client's own proof: the role in it is the client's.
    verdict = new Uint8Array(33).fill(7, 1)
    await assert.rejects(tryIt(), { code: 'custody.handshake_failed', detail: { reason: 'proof' } })
  } finally {
    impostor.close()
  }
})

test('a connection that ends before hello is answered is tried again; a silent signer fails what is in flight', async () => {
  const path = join(tmpdir(), `c-${randomBytes(6).toString('hex')}.sock`)
  let connections = 0
  const nonce = new Uint8Array(randomBytes(32))
  const halting = createServer((socket: Socket) => {
    socket.on('error', () => undefined)
    socket.write(greet(nonce))
    socket.once('data', (answer: Buffer) => {
      connections++
      socket.write(judgeClient(nonce, answer.subarray(0, clientProofLength), { proof, instance }) as Uint8Array)
      // The first ends without an answer, the second never says anything.
      if (connections === 1) socket.end()
    })
  })
  await new Promise<void>((resolve) => halting.listen(path, resolve))
  const impatient = new SignerClient({ socket: path, instance, proof, term: 0, timeoutMs: 500 })
  const connecting = impatient.connect()
  connecting.catch(() => undefined)
  while (connections < 3) await new Promise((resolve) => setTimeout(resolve, 20))
  await impatient.close()
  halting.close()
  await assert.rejects(impatient.roots(), { code: 'custody.unavailable' })
})

test('nothing is answered before hello, and an unknown version or operation is refused', async () => {
  const { socket, rest } = await openConnection(place.config.socket, { proof, instance }, randomBytes(32))
  assert.equal(rest.length, 0)
  const frames: Frame[] = []
  const reader = new FrameReader((frame) => frames.push({ ...frame, payload: Buffer.from(frame.payload) }))
  socket.on('data', (chunk) => reader.push(chunk)).resume()
  const send = async (op: number, payload: Uint8Array): Promise<unknown> => {
    const had = frames.length
    socket.write(encodeFrame(had + 1, op, payload))
    while (frames.length === had) await new Promise((resolve) => setTimeout(resolve, 2))
    const { id, op: answer, payload: bytes } = frames.at(-1) as Frame
    assert.equal(id, had + 1)
    return answer === refusalOp ? (decodeCbor(bytes) as { code: string }).code : answer
  }
  assert.equal(await send(ops.roots, encodeCbor({})), 'custody.request_refused')
  assert.equal(await send(ops.sign, new Uint8Array(0)), 'custody.request_refused')
  assert.equal(await send(ops.hello, encodeCbor({ versions: [2], term: 0 })), 'custody.handshake_failed')
  assert.equal(await send(ops.roots, encodeCbor({})), 'custody.request_refused')
  assert.equal(await send(ops.hello, encodeCbor({ versions: [1], term: 0 })), ops.hello | 0x80)
  assert.equal(await send(ops.roots, encodeCbor({})), ops.roots | 0x80)
  assert.equal(await send(ops.roots, encodeCbor({ more: 1 })), 'custody.request_refused')
  assert.equal(await send(99, encodeCbor({})), 'custody.request_refused')
  assert.equal(await send(ops.createLog, encodeCbor({ organization: new Uint8Array(15) })), 'custody.request_refused')
  socket.destroy()
  await isWell()
})

test('a frame longer than any ends its connection and no other', async () => {
  for (const length of [maxFrameLength + 1, 0xffff_ffff, 4, 0]) {
    const { socket } = await openConnection(place.config.socket, { proof, instance }, randomBytes(32))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    const head = Buffer.alloc(9)
    head.writeUInt32BE(length)
    socket.on('error', () => undefined).resume()
    socket.write(head)
    await closed
  }
  await isWell()
})

test('a stream of frames is cut the same however it arrives', () => {
  const frame = fc.record({
    id: fc.nat(),
    op: fc.integer({ min: 0, max: 255 }),
    payload: fc.uint8Array({ maxLength: 300 }),
  })
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }),
      (frames, cuts) => {
        const stream = Buffer.concat(frames.map(({ id, op, payload }) => encodeFrame(id, op, payload)))
        const seen: { id: number; op: number; payload: Uint8Array }[] = []
        const reader = new FrameReader(({ id, op, payload }) => seen.push({ id, op, payload: new Uint8Array(payload) }))
        for (let at = 0, i = 0; at < stream.length; i++) {
          const end = at + (cuts[i % cuts.length] as number)
          reader.push(stream.subarray(at, end))
          at = end
        }
        assert.deepEqual(
          seen,
          frames.map(({ id, op, payload }) => ({ id, op, payload })),
        )
      },
    ),
  )
  assert.throws(() => allocateFrame(1, 1, maxFrameLength), RangeError)
})

test('random and mutated frames never stop the signer', { timeout: 600_000 }, async () => {
  const rounds = Number(process.env['POPSIGNER_FUZZ_ROUNDS'] ?? 400)
  // The highest term there is: a mutated hello cannot raise it, so the connections after it are not refused for theirs.
  const term = Number.MAX_SAFE_INTEGER
  const own = await connectTo(place, term)
  const alive = async (): Promise<void> => {
    assert.equal(running.child.exitCode, null)
    assert.equal((await own.hello()).boot, running.ready.boot)
  }
  const log = await makeLog(own)
  const key = await makeKey(own, log)
  const item = makeItem(log, key, utf8('fuzz'))
  const { organizationKey, logKey } = log.keys
  const seeds = [
    writeSignFrame(1, [item, { ...item, attempt: 2, proof: { size: 1, path: [new Uint8Array(32)] } }]),
    encodeFrame(2, ops.hello, encodeCbor({ versions: [1], term: 0 })),
    encodeFrame(3, ops.heads, encodeCbor({ organizations: [log.organization] })),
    encodeFrame(4, ops.createLog, encodeCbor({ organization: newId() })),
    encodeFrame(5, ops.resealOrganizationKey, encodeCbor({ organization_key: { ...organizationKey } })),
    encodeFrame(
      6,
      ops.reseal,
      encodeCbor({ from: { ...organizationKey }, to: { ...organizationKey }, material: { ...logKey } }),
    ),
    encodeFrame(7, ops.statement, encodeCbor({ requests: [{ organization: log.organization, last: null }] })),
    encodeFrame(
      8,
      ops.hostAction,
      encodeCbor({ nonce: new Uint8Array(32), content: new Uint8Array(9), mac: new Uint8Array(32) }),
    ),
  ]
  const hello = encodeFrame(9, ops.hello, encodeCbor({ versions: [1], term }))
  for (let round = 0; round < rounds; round++) {
    const { socket } = await openConnection(place.config.socket, { proof, instance }, randomBytes(32))
    socket.on('error', () => undefined).resume()
    socket.write(hello)
    for (let i = 0; i < 8; i++) {
      const seed = Buffer.from(seeds[randomBytes(1).readUInt8() % seeds.length] as Buffer)
      const flips = 1 + (randomBytes(1).readUInt8() % 4)
      // The length stays mostly right, so that what is behind it is reached.
      for (let flip = 0; flip < flips; flip++) {
        const at = randomBytes(4).readUInt32BE() % seed.length
        seed[at < 4 && i > 0 ? 8 : at] = randomBytes(1).readUInt8()
      }
      if (socket.writable) socket.write(round % 4 === 0 ? randomBytes(64) : seed)
    }
    socket.end()
    if (round % 100 === 0) await alive()
  }
  await alive()
  const { results } = await own.sign([makeItem(log, key, utf8('after'))])
  assert.equal(results[0]?.kind, 'signed')
  await own.close()
})
