import { assertBytes } from './bytes.ts'
import { Fault } from './fault.ts'
import { sodium } from './sodium.ts'

/**
 * Health tests of NIST SP 800-90B §4.4 over every byte drawn from a source, a sample being one byte.
 *
 * They catch a source that is stuck, substituted or grossly biased. They say nothing about the noise that the kernel
 * feeds its own generator with: a deterministic generator with a known seed passes them.
 */

/** Repetition count test, §4.4.1: this many equal bytes in a row fail. 1 + ceil(40 / 8) for 8 bits a byte and 2^-40. */
const repetitionCutoff = 6
/** Adaptive proportion test, §4.4.2: samples in a window, for a source that is not binary. */
const windowLength = 512
/** Adaptive proportion test: this many bytes equal to the first of their window fail. For 8 bits a byte and 2^-40. */
const proportionCutoff = 19
/** Start-up test, §4.3: samples tested and thrown away before the first is given out; two whole windows. */
const startupLength = 1024

export interface EntropyFaults {
  /** Which test failed; `source` where drawing itself threw. */
  'entropy.failed': { readonly test: 'repetition' | 'proportion' | 'source' }
}

/** The source failed a health test. It stays failed: nothing more is drawn from it. */
export class EntropyFailure extends Fault<'entropy.failed', EntropyFaults['entropy.failed']> {
  constructor(test: EntropyFaults['entropy.failed']['test'], options?: { readonly cause?: unknown }) {
    super('entropy.failed', { test }, options)
  }
}

/** Random bytes that pass the health tests. */
export interface Entropy {
  /** Fills `into` or throws `EntropyFailure`; then `into` is zeros. */
  fill(into: Uint8Array): void
  /** `false` from the first failure on, for good. */
  readonly healthy: boolean
}

/** Draws from the operating system's generator (`getrandom` on Linux) straight into `into`, which may be locked memory. */
export function kernelSource(into: Uint8Array): void {
  sodium.randombytes_buf(into)
}

/** Entropy from `source`, which fills the array it is given. Runs the start-up test; throws `EntropyFailure` where that fails. */
export function createEntropy(source: (into: Uint8Array) => void): Entropy {
  const health = createHealthTests()
  let failure: EntropyFailure | null = null

  function fill(into: Uint8Array): void {
    assertBytes(into, 'into')
    // What was there must not pass for what a silent source did not write.
    into.fill(0)
    if (failure !== null) throw failure
    try {
      source(into)
    } catch (cause) {
      failure = new EntropyFailure('source', { cause })
    }
    const failed = failure === null ? health(into) : null
    if (failed !== null) failure = new EntropyFailure(failed)
    if (failure === null) return
    into.fill(0)
    throw failure
  }

  fill(new Uint8Array(startupLength))
  return {
    fill,
    get healthy() {
      return failure === null
    },
  }
}

/** Both tests with their state, which goes on from one draw to the next. */
function createHealthTests(): (samples: Uint8Array) => 'repetition' | 'proportion' | null {
  let last = -1
  let repetitions = 0
  let first = -1
  let seen = 0
  let matches = 0
  return (samples) => {
    for (let i = 0; i < samples.length; i++) {
      const sample = samples[i] as number
      repetitions = sample === last ? repetitions + 1 : 1
      last = sample
      if (repetitions >= repetitionCutoff) return 'repetition'
      if (seen === 0) {
        first = sample
        matches = 1
      } else if (sample === first && ++matches >= proportionCutoff) return 'proportion'
      seen = (seen + 1) % windowLength
    }
    return null
  }
}
