import { join } from 'node:path'

/** Bytes of OpenSSL's secure heap that a signer is started with. Beside the arena it fits the usual lock limit of 8 MB. */
export const secureHeapBytes: number = 2 * 1024 * 1024

/**
 * Node's options for a signer. The secure heap is OpenSSL's own locked memory, for the keys that it holds: the signer
 * refuses to start without. And no debugger: a signal would otherwise open one, and with it the memory, to whoever may connect.
 */
export const signerNodeOptions: readonly string[] = [`--secure-heap=${secureHeapBytes}`, '--disable-sigusr1']

/** The program of the signer process. */
export const signerFile: string = join(import.meta.dirname, 'signer/main.ts')

/**
 * The arguments for Node (24) that start a signer. Its configuration (`signer/config.ts`) goes to its standard input as
 * one line of JSON, and standard input stays open for as long as it shall run.
 */
export const signerArguments: readonly string[] = [...signerNodeOptions, signerFile]
