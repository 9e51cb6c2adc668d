const subBuckets = 128

/** Times in whole microseconds up to 2^31, each kept to within 1/128 of itself, in constant memory. */
export interface Histogram {
  /** Fractions of a microsecond are dropped. */
  record(microseconds: number): void
  readonly count: number
  /** The longest, exactly. */
  readonly max: number
  /** The time in microseconds that this share of the recorded ones (0 to 1) does not exceed; 0 when there are none. */
  percentile(share: number): number
}

/** An empty histogram: linear up to 256 µs, then 128 steps to each doubling. */
export function createHistogram(): Histogram {
  const counts = new Float64Array(subBuckets * 26)
  let count = 0
  let max = 0
  return {
    record(microseconds) {
      const value = Math.min(Math.max(Math.floor(microseconds), 0), 2 ** 31 - 1)
      const shift = Math.max(0, 24 - Math.clz32(value))
      const bucket = shift * subBuckets + (value >> shift)
      counts[bucket] = (counts[bucket] ?? 0) + 1
      count++
      if (value > max) max = value
    },
    get count() {
      return count
    },
    get max() {
      return max
    },
    percentile(share) {
      const wanted = Math.max(1, Math.ceil(share * count))
      let seen = 0
      for (let bucket = 0; bucket < counts.length; bucket++) {
        seen += counts[bucket] ?? 0
        if (seen >= wanted) return Math.min(max, longestOf(bucket))
      }
      return 0
    },
  }
}

function longestOf(bucket: number): number {
  const shift = bucket < 2 * subBuckets ? 0 : Math.floor(bucket / subBuckets) - 1
  return (bucket - shift * subBuckets + 1) * 2 ** shift - 1
}
