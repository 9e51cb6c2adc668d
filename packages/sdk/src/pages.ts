/** Follows `next_cursor` from page to page. */

import { NetworkError } from './errors.ts'
import type { CallOptions } from './transport.ts'

/**
 * Every entry of a list, a page at a time. What is added or removed while it runs may or may not be there; nothing is
 * there twice. `NetworkError` for a server whose pages lead in a circle.
 */
export async function* eachOf<P extends { next_cursor: string | null }, T>(
  fetchPage: (cursor: string | undefined) => Promise<P>,
  entries: (page: P) => readonly T[],
): AsyncGenerator<T, void, void> {
  let cursor: string | undefined
  for (;;) {
    const page = await fetchPage(cursor)
    yield* entries(page)
    if (page.next_cursor === null || page.next_cursor === undefined) return
    if (page.next_cursor === cursor)
      throw new NetworkError('network.answer_invalid', 'a page that leads to itself', { attempts: 1 })
    cursor = page.next_cursor
  }
}

/** Options of a list: an idempotency key or an ETag has no meaning there. */
export type ListOptions = Omit<CallOptions, 'idempotencyKey' | 'ifMatch'>
