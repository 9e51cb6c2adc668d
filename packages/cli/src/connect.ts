import { join } from 'node:path'
import { PopSigner } from '@popsigner/sdk'
import { createFileStore, type FileStore } from '@popsigner/sdk/file-store'
import type { Settings } from './settings.ts'
import type { Terminal } from './terminal.ts'

/** Where pinned keys and the last checkpoint of every log are kept. Whoever writes it decides what is believed. */
export function trustStore(config: string): FileStore {
  return createFileStore(join(config, 'trust.json'))
}

/** What sends the requests of a command: with POPSIGNER_DEBUG=api each is a line on standard error. */
export function fetchOf(terminal: Terminal): typeof globalThis.fetch {
  return terminal.environment['POPSIGNER_DEBUG'] === 'api' ? tracingFetch(terminal) : globalThis.fetch
}

/**
 * The client of these settings, which must have an API key or be for routes that need none. Where `holding` is given every
 * request comes there, once.
 */
export function connect(terminal: Terminal, settings: Settings, holding?: typeof globalThis.fetch): PopSigner {
  return new PopSigner({
    url: settings.url.value,
    ...(settings.apiKey !== null && { apiKey: settings.apiKey.value }),
    trust: trustStore(settings.config),
    ...(holding === undefined ? { fetch: fetchOf(terminal) } : { fetch: holding, retries: 0 }),
  })
}

// One line for each attempt. Headers and bodies hold credentials and data and are not printed.
function tracingFetch(terminal: Terminal): typeof globalThis.fetch {
  return async (input, init) => {
    const began = performance.now()
    const line = (result: string): void => {
      terminal.err(
        `> ${init?.method ?? 'GET'} ${String(input)} → ${result} in ${Math.round(performance.now() - began)} ms\n`,
      )
    }
    try {
      const response = await fetch(input, init)
      line(`${response.status} ${response.headers.get('x-request-id') ?? ''}`.trim())
      return response
    } catch (error) {
      line('no answer')
      throw error
    }
  }
}
