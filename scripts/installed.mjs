// What is installed, without asking npm or the network. Runs on Node 20.
import { spawn } from 'node:child_process'
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'

export const root = dirname(import.meta.dirname ?? dirname(new URL(import.meta.url).pathname))

/**
 * Installs what the lockfile names and node_modules lacks: run-time dependencies only, or with `dev` all of them.
 * Does nothing, and reaches no network, when everything is there. Install scripts are not run.
 */
export async function install({ dev }) {
  const missing = missingPackages(dev)
  if (missing.length === 0) return
  const started = performance.now()
  say(`Installing ${missing.length} ${dev ? '' : 'run-time '}packages (this happens once)`)
  const clock = setInterval(() => {
    say(`still installing: ${seconds(started)} s, ${megabytes(join(root, 'node_modules'))} MB so far`)
  }, 3_000)
  const code = await npm([
    'install',
    ...(dev ? [] : ['--omit=dev']),
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-save',
    '--loglevel=error',
  ])
  clearInterval(clock)
  if (code !== 0) fail(`npm install failed (exit ${code}). Its message is above; the network is needed this once.`)
  const still = missingPackages(dev)
  if (still.length > 0)
    fail(
      `npm install ended well and yet ${still.slice(0, 3).join(', ')} is missing. Remove node_modules and start again.`,
    )
  say(`Installed in ${seconds(started)} s: node_modules takes ${megabytes(join(root, 'node_modules'))} MB`)
}

/** Paths the lockfile wants and node_modules does not hold in that version. Optional packages that npm left out are not missing. */
function missingPackages(dev) {
  const wanted = readPackages(join(root, 'package-lock.json'))
  const installed = readPackages(join(root, 'node_modules', '.package-lock.json'))
  const missing = []
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.startsWith('node_modules/')) continue
    // What npm calls devOptional is for development, and otherwise for those who use an optional peer.
    if ((entry.dev || entry.devOptional) && !dev) continue
    const there = existsSync(join(root, path))
    if (entry.link ? there : there && installed[path]?.version === entry.version) continue
    if (entry.optional && Object.keys(installed).length > 0 && !there) continue
    missing.push(path.slice('node_modules/'.length))
  }
  if (!existsSync(join(root, 'node_modules', '.bin', 'popsigner'))) missing.push('.bin/popsigner')
  return missing
}

/** Prints one line for a person, on the error stream. */
export function say(line) {
  process.stderr.write(`${line}\n`)
}

/** Prints one sentence and ends with exit code 1. */
export function fail(sentence) {
  say(sentence)
  process.exit(1)
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8')).packages ?? {}
  } catch {
    return {}
  }
}

function npm(args) {
  const cli = process.env.npm_execpath
  const [program, first] = cli && basename(cli) === 'npm-cli.js' ? [process.execPath, [cli]] : ['npm', []]
  return new Promise((resolve) => {
    // Standard output belongs to what comes after the installation.
    const child = spawn(program, [...first, ...args], { cwd: root, stdio: ['ignore', 2, 2] })
    child.once('error', (error) => fail(`npm cannot be started (${error.code}): it comes with Node.`))
    child.once('exit', (code, signal) => resolve(code ?? signal))
  })
}

function seconds(since) {
  return Math.round((performance.now() - since) / 1000)
}

function megabytes(directory) {
  return Math.round(size(directory) / 1e6)
}

function size(path) {
  try {
    const entry = lstatSync(path)
    if (!entry.isDirectory()) return entry.size
    return readdirSync(path).reduce((sum, name) => sum + size(join(path, name)), 0)
  } catch {
    return 0
  }
}
