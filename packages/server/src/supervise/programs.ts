import { existsSync } from 'node:fs'
import { createServer } from 'node:net'
import { isAbsolute, join, relative } from 'node:path'
import { signerFile, signerNodeOptions } from '@popsigner/custody/signer-process'
import type { ChildProgram } from './child.ts'
import type { Config } from './config.ts'
import { layout, type ServerConfiguration, type SignerConfiguration } from './contract.ts'
import { checkFurtherDirectory, type Instance } from './data-directory.ts'
import type { Identities } from './identities.ts'
import type { RunningDatabase, StartDatabase } from './postgres.ts'
import { Refusal, systemCode } from './refusal.ts'

const serverFile = join(import.meta.dirname, '..', 'main.ts')
// No debugger that a signal opens. And a young generation that holds what is in flight: with half of it a signature at 512
// connections took a tenth more time, most of it collecting garbage.
const serverNodeOptions = ['--disable-sigusr1', '--max-semi-space-size=16']

/** Throws `Refusal` when another program listens where the API should. Nothing is left listening. */
export async function checkPortFree({ host, port }: Pick<Config, 'host' | 'port'>): Promise<void> {
  if (port === 0) return
  const probe = createServer()
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject)
      probe.listen({ host, port, exclusive: true }, resolve)
    })
  } catch (error) {
    const code = systemCode(error)
    if (code === 'EADDRINUSE')
      throw new Refusal(`Port ${port} on ${host} is taken by another program: set POPSIGNER_PORT to a free one.`)
    if (code === 'EACCES')
      throw new Refusal(`Port ${port} is not open to this user: set POPSIGNER_PORT to one above 1023.`)
    throw new Refusal(`${host} is no address of this machine (${code}): set POPSIGNER_HOST to one that is.`)
  } finally {
    await new Promise((resolve) => probe.close(resolve))
  }
}

/** Where the cluster of an instance lies and who runs it; the same for making and for starting it. */
export function databasePlace(
  config: Config,
  instance: Pick<Instance, 'furtherDirectory'>,
  identities: Identities | null,
  socketDirectory: string,
): StartDatabase {
  const home = instance.furtherDirectory ?? config.dataDirectory
  return {
    cluster: join(home, layout.cluster),
    binariesDirectory: home,
    passwordFile: join(config.dataDirectory, layout.databasePassword),
    identity: identities?.database ?? null,
    socketDirectory,
    logFile: join(config.dataDirectory, layout.logs, 'postgres.log'),
  }
}

/** The signer of an instance. */
export function signerProgram(
  config: Config,
  instance: Instance,
  identities: Identities | null,
  socket: string,
): ChildProgram {
  const configuration: SignerConfiguration = {
    instance: instance.name,
    custody: layout.custody,
    // Relative where it can be: below a directory that only root may enter, this is how the signer still reaches it.
    keyFile: keyFileName(config),
    socket,
    socketMode: identities ? 0o660 : 0o600,
    ...(identities && { socketGroup: identities.server.gid }),
    proofFile: layout.proofKey,
    hostKeyFile: layout.hostKey,
    ...identities?.signer,
    allowUnlockedMemory: config.insecure.unlockedMemory,
  }
  return {
    name: 'signer',
    file: signerFile,
    nodeOptions: signerNodeOptions,
    socket,
    directory: config.dataDirectory,
    environment: config.childEnvironment,
    configuration,
  }
}

/** The server of an instance. */
export function serverProgram(
  config: Config,
  instance: Instance,
  identities: Identities | null,
  places: Pick<ServerConfiguration, 'database' | 'signerSocket' | 'adminSocket'>,
): ChildProgram {
  const configuration: ServerConfiguration = {
    instance: instance.name,
    host: config.host,
    port: config.port,
    tls: config.tls,
    metrics: config.metrics,
    ...places,
    proofFile: join(config.dataDirectory, layout.proofKey),
    logLevel: config.logLevel,
    ...identities?.server,
  }
  return {
    name: 'server',
    file: serverFile,
    nodeOptions: serverNodeOptions,
    socket: places.adminSocket,
    directory: config.dataDirectory,
    environment: config.childEnvironment,
    configuration,
  }
}

/** What of a running database the server needs. */
export function connectionOf(database: RunningDatabase | undefined): ServerConfiguration['database'] {
  if (database === undefined) throw new TypeError('database: expected a running one')
  const { socketDirectory, port, user, password } = database
  return { socketDirectory, port, user, password, database: database.database }
}

/** Throws `Refusal` when a part of the data directory is missing that cannot be made again. */
export function checkWhole(config: Config, instance: Instance): void {
  if (!existsSync(config.sealKeyFile)) {
    throw new Refusal(
      `The key file ${config.sealKeyFile} is missing and without it no key can be opened: put it back, or set POPSIGNER_SEAL_KEY_FILE to where it is.`,
    )
  }
  for (const name of [layout.custody, layout.proofKey]) {
    if (existsSync(join(config.dataDirectory, name))) continue
    throw new Refusal(
      `The data directory ${config.dataDirectory} is damaged (${name} is missing): restore it from a copy, or set POPSIGNER_DATA_DIR to another directory.`,
    )
  }
  if (config.databaseUrl === null && instance.furtherDirectory !== null)
    checkFurtherDirectory(instance.furtherDirectory, config.dataDirectory)
}

/** The key file's path as the signer takes it, whose working directory is the data directory. */
function keyFileName({ dataDirectory, sealKeyFile }: Config): string {
  const inside = relative(dataDirectory, sealKeyFile)
  return inside.startsWith('..') || isAbsolute(inside) ? sealKeyFile : inside
}
