/** Runs a job when its turn comes, and answers as the job does. */
export type Lane = <T>(job: () => Promise<T>) => Promise<T>

/** A lane: at most `width` jobs at a time, the others in the order they came. */
export function createLane(width: number): Lane {
  const waiting: (() => void)[] = []
  let running = 0
  return async (job) => {
    if (running >= width) await new Promise<void>((resolve) => waiting.push(resolve))
    else running++
    try {
      return await job()
    } finally {
      // The place goes over to whoever is next.
      const next = waiting.shift()
      if (next === undefined) running--
      else next()
    }
  }
}

/**
 * For OpenSSL on Node's threads, of which there are four: two for signatures and one for new keys leave one free for
 * files, on which everything else that is written waits.
 */
export const opensslLane: Lane = createLane(2)
/** For new keys that OpenSSL makes. */
export const generationLane: Lane = createLane(1)
