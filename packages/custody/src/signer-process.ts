import { join } from 'node:path'
import { secureHeapBytes } from './signer/memory.ts'

/**
 * The arguments for Node (24) that start a signer. Its configuration (`signer/config.ts`) goes to its standard input as
 * one line of JSON, and standard input stays open for as long as it shall run.
 */
export const signerArguments: readonly string[] = [
  `--secure-heap=${secureHeapBytes}`,
  join(import.meta.dirname, 'signer/main.ts'),
]
