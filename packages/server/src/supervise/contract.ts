import type { DatabaseConnection } from './postgres.ts'

/**
 * What the supervisor tells the server process: one JSON line on its standard input, which then stays open; the server
 * ends when it closes. The server answers one line on standard output, `{"ready":true,"port":…}`, or
 * `{"refusal":"one sentence"}` and a non-zero exit. Its log is JSON lines on standard error. SIGTERM drains.
 */
export interface ServerConfiguration {
  readonly instance: string
  readonly host: string
  readonly port: number
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /** Null: `/metrics` is served with the API. */
  readonly metrics: { readonly host: string; readonly port: number } | null
  readonly database: DatabaseConnection | { readonly url: string }
  readonly signerSocket: string
  /** Read while still root. */
  readonly proofFile: string
  readonly adminSocket: string
  readonly logLevel: string
  /** Given only when the supervisor is root. */
  readonly uid?: number
  readonly gid?: number
}

/** The same for the signer, whose working directory is the data directory. It ends when its input closes. */
export interface SignerConfiguration {
  readonly instance: string
  readonly custody: string
  readonly keyFile: string
  readonly socket: string
  readonly socketMode: number
  readonly socketGroup?: number
  readonly proofFile: string
  readonly hostKeyFile: string
  readonly uid?: number
  readonly gid?: number
  readonly allowUnlockedMemory: boolean
}

/** Places inside a data directory, relative to it. */
export const layout = Object.freeze({
  custody: 'custody',
  proofKey: 'custody/proof.key',
  hostKey: 'custody/host.key',
  cluster: 'postgres',
  databasePassword: 'postgres.password',
  logs: 'logs',
  running: 'run.json',
  /** Present from `npm start`'s first initialization until its API key has been printed. */
  welcome: 'welcome',
})
