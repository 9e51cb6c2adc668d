// npm test [-- --coverage] [pattern …]: installs what is missing, checks what npm run check does, then runs every test.
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { check } from './checks.mjs'
import { fail, install, root, say } from './installed.mjs'
import { compileCache, node24 } from './node24.mjs'

const args = process.argv.slice(2)
const coverage = args.includes('--coverage')
const patterns = args.filter((arg) => !arg.startsWith('--'))

await install({ dev: true })
provideChromium()

if (patterns.length === 0 && !coverage) check()

const files = ['packages', 'test', 'bench']
  .flatMap((folder) => testFiles(join(root, folder)))
  .sort((a, b) => (a < b ? -1 : 1))
const chosen = files.filter((file) => patterns.length === 0 || patterns.some((pattern) => file.includes(pattern)))
if (chosen.length === 0) fail(`No test file matches ${patterns.join(', ')}.`)
process.exit(await runTests(chosen))

// Two cores: one file runs beside one that waits for its processes.
function runTests(chosen) {
  const options = ['--test', '--test-concurrency=2', '--test-reporter=spec', '--test-timeout=600000']
  if (coverage) {
    options.push('--experimental-test-coverage', '--test-coverage-exclude=**/*.test.ts')
    for (const name of ['crypto', 'transparency', 'custody', 'api'])
      options.push(`--test-coverage-include=packages/${name}/src/**/*.ts`)
  }
  const child = spawn(node24(), [...options, ...chosen], {
    cwd: root,
    stdio: ['inherit', 'pipe', 'inherit'],
    // What was translated before has no lines to count.
    env: coverage ? process.env : { NODE_COMPILE_CACHE: compileCache, ...process.env },
  })
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => child.kill(signal))
  // Node prints failures after its counts; the counts are said again, so that they are what one sees last.
  let counts = []
  let wordsAfter = false
  let rest = ''
  child.stdout.on('data', (chunk) => {
    process.stdout.write(chunk)
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) {
      const count = /^\W*(tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) [\d.]+$/u.exec(line)
      if (count?.[1] === 'tests') [counts, wordsAfter] = [[], false]
      if (count) counts.push(line)
      else if (line.trim() !== '') wordsAfter = true
    }
  })
  return new Promise((resolve) => {
    child.once('close', (code) => {
      if (wordsAfter) process.stdout.write(`\n${counts.join('\n')}\n`)
      resolve(code ?? 1)
    })
  })
}

function testFiles(folder) {
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    if (name === 'node_modules') return []
    if (statSync(path).isDirectory()) return testFiles(path)
    return name.endsWith('.test.ts') ? [relative(root, path)] : []
  })
}

// One test bundles the SDK and runs it in a browser.
function provideChromium() {
  const there = () =>
    ['chromium', 'chromium-browser', 'google-chrome'].some((name) => spawnSync('which', [name]).status === 0)
  if (there()) return
  if (process.getuid?.() === 0 && spawnSync('which', ['apt-get']).status === 0) {
    say('Installing chromium for the browser test (this happens once)')
    const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
    for (const command of [
      ['update', '-qq'],
      ['install', '-y', '-qq', '--no-install-recommends', 'chromium'],
    ]) {
      spawnSync('apt-get', command, { env: environment, stdio: ['ignore', 2, 2] })
    }
  }
  if (!there()) say('There is no chromium: the browser test is left out. On Debian: apt-get install chromium.')
}
