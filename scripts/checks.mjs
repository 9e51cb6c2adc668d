// What is held against the source without running it.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fail, root, say } from './installed.mjs'
import { node24 } from './node24.mjs'

const checks = [
  ['types', ['typescript', 'bin', 'tsc'], ['-p', 'tsconfig.json']],
  ['format and lint', ['@biomejs', 'biome', 'bin', 'biome'], ['check', '--error-on-warnings', '.']],
]

/** Runs each check; ends with exit code 1 after the first that fails. */
export function check() {
  for (const [name, program, args] of checks) {
    say(`${name} …`)
    const { status } = spawnSync(node24(), [join(root, 'node_modules', ...program), ...args], {
      cwd: root,
      stdio: 'inherit',
    })
    if (status !== 0) fail(`${name}: failed.`)
  }
}
