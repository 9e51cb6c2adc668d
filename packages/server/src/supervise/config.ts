import { isIP } from 'node:net'
import { resolve } from 'node:path'
import { Refusal } from './refusal.ts'

/** Options that make an instance weaker. They are flags and never variables, and each start warns of each. */
export interface InsecureFlags {
  /** Serve plain HTTP on a host other than loopback: for a proxy of one's own that terminates TLS. */
  readonly plainHttp: boolean
  /** Start a signer whose secrets may be swapped to disk. */
  readonly unlockedMemory: boolean
}

/** Everything that can be set, read once from the environment. */
export interface Config {
  /** POPSIGNER_DATA_DIR: all state. Whoever writes there owns the instance. Default `.popsigner` where it is started. */
  readonly dataDirectory: string
  /** POPSIGNER_SEAL_KEY_FILE: the root key. Whoever reads it and the database can sign with every key. */
  readonly sealKeyFile: string
  /** POPSIGNER_HOST: an IP address. Default 127.0.0.1. */
  readonly host: string
  /** POPSIGNER_PORT: default 8080; 0 takes a free one. */
  readonly port: number
  /** POPSIGNER_TLS_CERT_FILE and POPSIGNER_TLS_KEY_FILE: PEM. TLS 1.3 only. */
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null
  /**
   * POPSIGNER_METRICS_HOST and POPSIGNER_METRICS_PORT: where `/metrics` listens by itself. Null: on the API's own address,
   * which is then a loopback one.
   */
  readonly metrics: { readonly host: string; readonly port: number } | null
  /** POPSIGNER_LOG_LEVEL: debug, info, warn or error. Default info. */
  readonly logLevel: string
  /** DATABASE_URL: a PostgreSQL of one's own. It can refuse service and hide records; it cannot sign. Null: ours. */
  readonly databaseUrl: string | null
  readonly insecure: InsecureFlags
  /**
   * All that the children get of the environment, which may hold an API key or a database's password: where Node writes its
   * measurements of test coverage.
   */
  readonly childEnvironment: Readonly<Record<string, string>>
}

type Environment = Readonly<Record<string, string | undefined>>

const serverNames = [
  'POPSIGNER_DATA_DIR',
  'POPSIGNER_HOST',
  'POPSIGNER_PORT',
  'POPSIGNER_TLS_CERT_FILE',
  'POPSIGNER_TLS_KEY_FILE',
  'POPSIGNER_METRICS_HOST',
  'POPSIGNER_METRICS_PORT',
  'POPSIGNER_SEAL_KEY_FILE',
  'POPSIGNER_LOG_LEVEL',
]

// The command's own, which may well be set in the shell that starts a server.
const clientNames = [
  'POPSIGNER_API_KEY',
  'POPSIGNER_URL',
  'POPSIGNER_PROFILE',
  'POPSIGNER_CONFIG_DIR',
  'POPSIGNER_NAMESPACE',
  'POPSIGNER_NO_PROMPT',
  'POPSIGNER_DEBUG',
]

const metricsPort = 9464

/**
 * Reads the `POPSIGNER_*` variables and `DATABASE_URL` into a frozen object; relative paths are taken from `directory`.
 * Throws `Refusal` for a name nobody knows, a value that does not fit, and a host that would serve the network in clear.
 */
export function readConfig(environment: Environment, directory: string, insecure: InsecureFlags): Config {
  refuseUnknownNames(environment)
  const value = (name: string): string | undefined => (environment[name] === '' ? undefined : environment[name])
  const dataDirectory = resolve(directory, value('POPSIGNER_DATA_DIR') ?? '.popsigner')
  const path = (name: string): string | undefined => {
    const text = value(name)
    return text === undefined ? undefined : resolve(directory, text)
  }
  const host = readHost('POPSIGNER_HOST', value('POPSIGNER_HOST') ?? '127.0.0.1')
  const config: Config = {
    dataDirectory,
    sealKeyFile: path('POPSIGNER_SEAL_KEY_FILE') ?? resolve(dataDirectory, 'seal/root.key'),
    host,
    port: readPort('POPSIGNER_PORT', value('POPSIGNER_PORT') ?? '8080'),
    tls: readTls(path('POPSIGNER_TLS_CERT_FILE'), path('POPSIGNER_TLS_KEY_FILE')),
    metrics: readMetrics(host, value('POPSIGNER_METRICS_HOST'), value('POPSIGNER_METRICS_PORT')),
    logLevel: readLevel(value('POPSIGNER_LOG_LEVEL') ?? 'info'),
    databaseUrl: readDatabaseUrl(value('DATABASE_URL')),
    insecure: Object.freeze({ ...insecure }),
    childEnvironment: childEnvironment(environment),
  }
  if (!isLoopback(host) && config.tls === null && !insecure.plainHttp) {
    throw new Refusal(
      `${host} is reachable from outside this machine: set POPSIGNER_TLS_CERT_FILE and POPSIGNER_TLS_KEY_FILE to serve TLS, or start with --insecure-plain-http behind a proxy of your own.`,
    )
  }
  return Object.freeze(config)
}

/** Whether an IP address can only be reached from this machine. */
export function isLoopback(address: string): boolean {
  return address === '::1' || /^127(\.\d{1,3}){3}$/.test(address)
}

/** The address as a person types it. */
export function baseUrl(config: Pick<Config, 'host' | 'tls'>, port: number): string {
  const host = config.host === '0.0.0.0' ? '127.0.0.1' : config.host === '::' ? '::1' : config.host
  return `${config.tls ? 'https' : 'http'}://${isIP(host) === 6 ? `[${host}]` : host}:${port}`
}

function refuseUnknownNames(environment: Environment): void {
  const known = [...serverNames, ...clientNames]
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('POPSIGNER_') || known.includes(name)) continue
    throw new Refusal(
      `${name} is not a setting of POPSigner: unset it. The settings are ${serverNames.join(', ')} and DATABASE_URL.`,
    )
  }
}

/** Of what the environment says to Node only where it keeps coverage and compiled code: those who set that own the supervisor anyway. */
function childEnvironment(environment: Environment): Record<string, string> {
  const passed = ['NODE_V8_COVERAGE', 'NODE_COMPILE_CACHE'].flatMap((name) => {
    const value = environment[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  return { PATH: '/usr/bin:/bin', TZ: 'UTC', NODE_ENV: 'production', ...Object.fromEntries(passed) }
}

function readHost(name: string, value: string): string {
  if (value === 'localhost') return '127.0.0.1'
  if (isIP(value) === 0)
    throw new Refusal(`${name} is "${value}": set it to an IP address of this machine, such as 127.0.0.1.`)
  return value
}

function readPort(name: string, value: string): number {
  const port = /^\d{1,5}$/.test(value) ? Number(value) : -1
  if (port < 0 || port > 65_535)
    throw new Refusal(`${name} is "${value}": set it to a port from 0 to 65535 (0 takes a free one).`)
  return port
}

function readTls(certFile: string | undefined, keyFile: string | undefined): Config['tls'] {
  if (certFile === undefined && keyFile === undefined) return null
  if (certFile === undefined || keyFile === undefined) {
    throw new Refusal(
      'TLS needs both POPSIGNER_TLS_CERT_FILE and POPSIGNER_TLS_KEY_FILE: set the one that is missing, or neither.',
    )
  }
  return Object.freeze({ certFile, keyFile })
}

function readMetrics(host: string, metricsHost: string | undefined, port: string | undefined): Config['metrics'] {
  if (isLoopback(host) && metricsHost === undefined && port === undefined) return null
  return Object.freeze({
    host: readHost('POPSIGNER_METRICS_HOST', metricsHost ?? '127.0.0.1'),
    port: port === undefined ? metricsPort : readPort('POPSIGNER_METRICS_PORT', port),
  })
}

function readLevel(value: string): string {
  if (!['debug', 'info', 'warn', 'error'].includes(value)) {
    throw new Refusal(`POPSIGNER_LOG_LEVEL is "${value}": set it to debug, info, warn or error.`)
  }
  return value
}

function readDatabaseUrl(value: string | undefined): string | null {
  if (value === undefined) return null
  // The value is not repeated: it holds a password.
  if (!/^postgres(ql)?:\/\//.test(value) || !URL.canParse(value)) {
    throw new Refusal(
      'DATABASE_URL is no PostgreSQL address: set it to postgres://user:password@host:5432/database, or unset it to use the PostgreSQL that comes along.',
    )
  }
  return value
}
