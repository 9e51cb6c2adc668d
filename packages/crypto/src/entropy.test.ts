import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createEntropy, EntropyFailure, kernelSource } from './entropy.ts'

/** A source that plays the given bytes after `good` bytes from the kernel. */
function sourceOf(good: number, then: (at: number) => number): (into: Uint8Array) => void {
  let at = 0
  return (into) => {
    kernelSource(into)
    for (let i = 0; i < into.length; i++, at++) if (at >= good) into[i] = then(at - good)
  }
}

const failed = (name: string) => (error: unknown) =>
  error instanceof EntropyFailure && error.code === 'entropy.failed' && error.detail.test === name

test('the kernel’s source passes, over a million bytes', () => {
  const entropy = createEntropy(kernelSource)
  const bytes = new Uint8Array(1_000_000)
  entropy.fill(bytes)
  assert.equal(entropy.healthy, true)
  assert.ok(new Set(bytes).size === 256)
  entropy.fill(new Uint8Array(0))
})

test('the start-up test refuses a stuck, a silent, a counting-by-few and a throwing source', () => {
  assert.throws(() => createEntropy((into) => into.fill(0xff)), failed('repetition'))
  assert.throws(() => createEntropy(() => {}), failed('repetition'))
  assert.throws(() => createEntropy(sourceOf(0, (at) => at % 16)), failed('proportion'))
  const cause = new Error('no device')
  assert.throws(
    () =>
      createEntropy(() => {
        throw cause
      }),
    (error: unknown) => failed('source')(error) && (error as Error).cause === cause,
  )
})

test('the start-up test draws 1,024 samples and gives none of them out', () => {
  let drawn = 0
  createEntropy((into) => {
    drawn += into.length
    kernelSource(into)
  })
  assert.ok(drawn >= 1024)
})

test('five equal bytes pass and six fail, across draws', () => {
  const run = (length: number) => {
    // 0x01 and 0x02 frame the run, so that its length is exact.
    const entropy = createEntropy(sourceOf(1024, (at) => (at === 0 ? 1 : at <= length ? 0xaa : at % 2 === 0 ? 2 : 3)))
    for (let i = 0; i < 8; i++) entropy.fill(new Uint8Array(1))
    return entropy
  }
  assert.equal(run(5).healthy, true)
  assert.throws(() => run(6), failed('repetition'))
})

test('eighteen of one byte in a window pass and nineteen fail', () => {
  const run = (count: number) => {
    // Start-up ends two whole windows, so a new one begins here, with the byte that is counted.
    const entropy = createEntropy(sourceOf(1024, (at) => (at % 2 === 0 && at / 2 < count ? 0 : 1 + (at % 255))))
    entropy.fill(new Uint8Array(512))
    return entropy
  }
  assert.equal(run(18).healthy, true)
  assert.throws(() => run(19), failed('proportion'))
})

test('a failed source stays failed, draws nothing more and leaves zeros behind', () => {
  let draws = 0
  let stuck = false
  const entropy = createEntropy((into) => {
    draws++
    if (stuck) into.fill(9)
    else kernelSource(into)
  })
  const bytes = new Uint8Array(32)
  entropy.fill(bytes)
  assert.ok(bytes.some((byte) => byte !== 0))
  stuck = true
  assert.throws(() => entropy.fill(bytes), failed('repetition'))
  assert.ok(bytes.every((byte) => byte === 0))
  assert.equal(entropy.healthy, false)
  stuck = false
  const before = draws
  assert.throws(() => entropy.fill(bytes.fill(1)), failed('repetition'))
  assert.equal(draws, before)
  assert.ok(bytes.every((byte) => byte === 0))
})
