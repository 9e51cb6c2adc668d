import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Config } from './config.ts'
import { layout } from './contract.ts'
import {
  abandonedFurtherDirectories,
  beginInstance,
  checkInstanceName,
  chooseFurtherDirectory,
  dataFormat,
  finishInstance,
  type Instance,
  inspectDataDirectory,
  makeDataDirectory,
  makeFurtherDirectory,
  randomInstanceName,
} from './data-directory.ts'
import { childIdentities } from './identities.ts'
import { checkUserName, initDatabase, stopOrphan } from './postgres.ts'
import type { Identity } from './postgres-binaries.ts'
import { databasePlace } from './programs.ts'
import { Refusal } from './refusal.ts'
import { takeRunLock } from './run-lock.ts'
import { checkSealDirectory, makeSealDirectory } from './seal-directory.ts'

/** What `popsigner init` may be told. */
export interface InitOptions {
  /** The instance's name, for good. Random when none is given. */
  readonly name?: string
  /** Leave a mark, so that the first start makes an organization and prints its API key (`npm start`). */
  readonly welcome?: boolean
}

/**
 * Makes an instance in an absent or empty data directory: key file, identity, ledger, the files the processes prove
 * themselves with, and the database. Interrupted, it can be run again. `say` takes a line for a
 * person. Throws `Refusal` where there is an instance already.
 */
export async function initInstance(
  config: Config,
  say: (line: string) => void,
  options: InitOptions = {},
): Promise<Instance> {
  const name = checkInstanceName(options.name ?? randomInstanceName())
  if (inspectDataDirectory(config.dataDirectory).kind === 'instance') {
    throw new Refusal(
      `There is an instance in ${config.dataDirectory} already; nothing was changed. Set POPSIGNER_DATA_DIR to make another one elsewhere.`,
    )
  }
  const identities = childIdentities()
  checkSealDirectory(config, identities?.signer ?? null)
  if (config.databaseUrl === null && identities === null) checkUserName()
  makeDataDirectory(config.dataDirectory, identities)
  const lock = takeRunLock(config.dataDirectory)
  try {
    // Between the first look and the lock another initialization may have ended.
    if (inspectDataDirectory(config.dataDirectory).kind === 'instance') {
      throw new Refusal(`There is an instance in ${config.dataDirectory} already; nothing was changed.`)
    }
    if (existsSync(config.sealKeyFile) && !config.sealKeyFile.startsWith(`${config.dataDirectory}/`)) {
      throw new Refusal(
        `There is a key file in ${config.sealKeyFile} already, which may be another instance's only one; nothing was changed. Set POPSIGNER_SEAL_KEY_FILE to a new path.`,
      )
    }
    const furtherDirectory =
      config.databaseUrl === null ? chooseFurtherDirectory(config.dataDirectory, identities) : null
    beginInstance(config.dataDirectory, furtherDirectory)
    for (const directory of identities ? abandonedFurtherDirectories(config.dataDirectory) : []) {
      await stopOrphan(join(directory, layout.cluster))
      say(`${directory} is left from an earlier instance at this path: remove it when nothing of it is needed.`)
    }
    if (furtherDirectory !== null) makeFurtherDirectory(furtherDirectory, config.dataDirectory)
    await initCustody(config, name, identities?.signer ?? null)
    if (config.databaseUrl === null) initDatabase(databasePlace(config, { furtherDirectory }, identities, ''))
    if (options.welcome) writeFileSync(join(config.dataDirectory, layout.welcome), '', { flush: true })
    const instance = { format: dataFormat, name, created: new Date().toISOString(), furtherDirectory }
    finishInstance(config.dataDirectory, instance)
    return instance
  } finally {
    lock.release()
  }
}

async function initCustody(config: Config, instance: string, signer: Identity | null): Promise<void> {
  const custody = join(config.dataDirectory, layout.custody)
  mkdirSync(custody, { mode: 0o700 })
  makeSealDirectory(config, signer)
  // Loaded here, so that a supervisor that only starts never holds what a key file is made with.
  const [{ createKeyBytes, initializeCustody }, { createEntropy, kernelSource }] = await Promise.all([
    import('@popsigner/custody/signer/init'),
    import('@popsigner/crypto/entropy'),
  ])
  const entropy = createEntropy(kernelSource)
  await initializeCustody({ directory: custody, keyFile: config.sealKeyFile, instance, entropy })
  for (const name of [layout.proofKey, layout.hostKey]) await createKeyBytes(join(config.dataDirectory, name), entropy)
  const files = readdirSync(custody).map((name) => join(custody, name))
  for (const path of [...files, config.sealKeyFile]) chmodSync(path, 0o600)
  if (signer === null) return
  for (const path of [custody, ...files, config.sealKeyFile]) chownSync(path, signer.uid, signer.gid)
}
