// Runs a TypeScript file under Node 24: the machine's own when it is new enough, else the one that npm brought.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { constants } from 'node:os'
import { join } from 'node:path'
import { fail, root } from './installed.mjs'

/** Path of a Node that runs TypeScript as it is. Ends with one sentence where there is none. */
export function node24() {
  if (Number.parseInt(process.versions.node, 10) >= 24) return process.execPath
  const brought = join(root, 'node_modules', `node-${process.platform}-${process.arch}`, 'bin', 'node')
  if (existsSync(brought)) return brought
  return fail(
    `POPSigner needs Node 24 and this is ${process.version} on ${process.platform}-${process.arch}, for which none is brought along: install Node 24 from https://nodejs.org.`,
  )
}

/** Where Node keeps the source as it translated it: a process that has to do that itself takes a second and 14 to 80 MB more. */
export const compileCache = join(root, 'node_modules', '.cache', 'node')

/** Programs that run for long. Each ends at once when its standard input is empty, or at a flag that it does not know. */
const programs = [
  ['packages/server/src/main.ts'],
  ['packages/custody/src/signer/main.ts'],
  ['packages/server/src/supervise/start.ts', '--translate'],
]

/** Translates the source of these programs, unless that was done before. What has changed since is translated when it runs. */
export function translate() {
  if (existsSync(compileCache)) return
  const env = { ...process.env, NODE_COMPILE_CACHE: compileCache }
  for (const program of programs) spawnSync(node24(), program, { cwd: root, stdio: 'ignore', env })
}

/**
 * Runs `file` (relative to the clone) with the caller's streams. Signals are passed on, the exit code is passed back. The
 * channel between the two tells the child when this process was killed; it carries nothing else.
 */
export function run(file, args, nodeOptions = []) {
  const child = spawn(node24(), [...nodeOptions, join(root, file), ...args], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: { NODE_COMPILE_CACHE: compileCache, ...process.env },
  })
  // From a terminal the child gets these itself as well; it takes two within a moment for one.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']) process.on(signal, () => child.kill(signal))
  child.once('error', (error) => fail(`Node 24 cannot be started: ${error.message}`))
  child.once('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]))
}
