import { spawnSync } from 'node:child_process'
import { accessSync, chmodSync, chownSync, constants, existsSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Config } from './config.ts'
import { canEnter, type Identity } from './postgres-binaries.ts'
import { Refusal } from './refusal.ts'

type Places = Pick<Config, 'dataDirectory' | 'sealKeyFile'>

/**
 * Throws `Refusal` where the signer could read its key file and not replace it, which is what a rotation does: beside
 * the file it writes a new one. `signer` is null for an ordinary user, as whom everything runs. Changes nothing.
 */
export function checkSealDirectory({ dataDirectory, sealKeyFile }: Places, signer: Identity | null): void {
  const directory = dirname(sealKeyFile)
  if (directory.startsWith(`${dataDirectory}/`)) return
  if (directory === dataDirectory && signer !== null)
    throw new Refusal(
      `The key file cannot lie in ${directory} itself, where the signer may not write: set POPSIGNER_SEAL_KEY_FILE to a path in a directory of its own.`,
    )
  const nearest = nearestExisting(directory)
  if (signer === null) {
    if (mayWrite(nearest)) return
    throw new Refusal(
      `The key file cannot be made in ${directory}, since this user may not write in ${nearest}: set POPSIGNER_SEAL_KEY_FILE to a path where this user may.`,
    )
  }
  const above = nearest === directory ? dirname(directory) : nearest
  if (!canEnter(above, signer))
    throw new Refusal(
      `Started as root, the signer is user ${signer.uid}, which cannot enter ${above} to rotate the key file: set POPSIGNER_SEAL_KEY_FILE to a path below directories that everyone may enter.`,
    )
  if (nearest === directory && !canWrite(directory, signer))
    throw new Refusal(
      `Started as root, the signer is user ${signer.uid}, which may not write in ${directory} to rotate the key file: chown ${signer.uid}:${signer.gid} ${directory}, or set POPSIGNER_SEAL_KEY_FILE to a path in a directory that does not exist yet.`,
    )
}

/**
 * Makes the directory of the key file where there is none, mode 0700, and gives it to the signer; what had to be made
 * above it stays root's and can be passed through. A directory that is there already is left as it is.
 */
export function makeSealDirectory({ sealKeyFile }: Pick<Config, 'sealKeyFile'>, signer: Identity | null): void {
  const directory = dirname(sealKeyFile)
  const absent: string[] = []
  for (let path = directory; !existsSync(path); path = dirname(path)) absent.unshift(path)
  for (const path of absent) {
    mkdirSync(path, { mode: 0o700 })
    if (signer === null) continue
    if (path === directory) chownSync(path, signer.uid, signer.gid)
    else chmodSync(path, 0o711)
  }
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path))
}

function mayWrite(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK)
    return true
  } catch {
    return false
  }
}

/** Whether that user can make files in the directory: the kernel's own answer. */
function canWrite(directory: string, identity: Identity): boolean {
  const program = 'test -w "$0" && test -x "$0"'
  return spawnSync('/bin/sh', ['-c', program, directory], { ...identity, stdio: 'ignore', cwd: '/' }).status === 0
}
