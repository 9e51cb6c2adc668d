import { isInstanceName } from '../spec.ts'

/**
 * What the signer is started with: one line of JSON on its standard input, which then stays open for as long as it
 * shall live.
 */
export interface SignerConfig {
  /** Name of the instance. Must be that of the key file's, the identity's and the ledger's. */
  readonly instance: string
  /**
   * Directory of `identity` and `ledger`, relative to the working directory. Whoever writes there can refuse service.
   */
  readonly custody: string
  /** Path of the key file. Whoever reads it and the database can sign with every key. */
  readonly keyFile: string
  /** Path of the socket to make. A socket there that nobody listens on is removed. */
  readonly socket: string
  /** Mode of the socket, 0o600 unless told. */
  readonly socketMode?: number
  /** Group of the socket. */
  readonly socketGroup?: number
  /**
   * Path of the 32 bytes that both ends of the socket prove. Whoever reads it and reaches the socket is taken for the
   * server.
   */
  readonly proofFile: string
  /** Path of the 32 bytes that authorize host actions. The server must not be able to read it. */
  readonly hostKeyFile: string
  /** User and group to become once everything is open. Only root can. */
  readonly uid?: number
  readonly gid?: number
  /** Keys held open, 16,384 unless told: 64 bytes of locked memory each. */
  readonly arenaSlots?: number
  /** Start although memory is not locked: keys may then be written to swap. */
  readonly allowUnlockedMemory?: boolean
}

const checks: Record<keyof SignerConfig, (value: unknown) => boolean> = {
  instance: (value) => typeof value === 'string' && isInstanceName(value),
  custody: isPath,
  keyFile: isPath,
  socket: isPath,
  socketMode: (value) => isWhole(value, 0o777),
  socketGroup: (value) => isWhole(value, 0xffff_fffe),
  proofFile: isPath,
  hostKeyFile: isPath,
  uid: (value) => isWhole(value, 0xffff_fffe),
  gid: (value) => isWhole(value, 0xffff_fffe),
  arenaSlots: (value) => isWhole(value, 1 << 20) && (value as number) >= 64,
  allowUnlockedMemory: (value) => typeof value === 'boolean',
}
const required = ['instance', 'custody', 'keyFile', 'socket', 'proofFile', 'hostKeyFile']

/** The configuration of this line. `RangeError` naming a field that is missing, unknown or has no such value. */
export function parseSignerConfig(line: string): SignerConfig {
  let value: unknown
  try {
    value = JSON.parse(line)
  } catch {
    throw new RangeError('configuration: expected one line of JSON')
  }
  if (value === null || typeof value !== 'object') throw new RangeError('configuration: expected an object')
  const config = value as Record<string, unknown>
  for (const name of required)
    if (!Object.hasOwn(config, name)) throw new RangeError(`configuration: ${name} is missing`)
  for (const name of Object.keys(config)) {
    if (!Object.hasOwn(checks, name)) throw new RangeError(`configuration: ${name} is unknown`)
    if (!checks[name as keyof SignerConfig](config[name]))
      throw new RangeError(`configuration: ${name} has no such value`)
  }
  if ((config['uid'] === undefined) !== (config['gid'] === undefined))
    throw new RangeError('configuration: uid and gid come together')
  return Object.freeze(config) as unknown as SignerConfig
}

function isPath(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && !value.includes('\0')
}

function isWhole(value: unknown, most: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= most
}
