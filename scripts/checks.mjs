// What is held against the source without running it.
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { fail, root, say } from './installed.mjs'
import { node24 } from './node24.mjs'

const checks = [
  { name: 'types', program: 'typescript/bin/tsc', args: ['-p', 'tsconfig.json'] },
  { name: 'format and lint', program: '@biomejs/biome/bin/biome', args: ['check', '--error-on-warnings', '.'] },
  { name: 'lint by types', program: 'oxlint/bin/oxlint', args: ['packages', 'test', 'bench', 'scripts'] },
  { name: 'what nobody uses', program: 'knip/bin/knip.js', args: [] },
]

/** Runs each check; ends with exit code 1 after the first that fails. */
export function check() {
  for (const { name, program, args } of checks) {
    say(`${name} …`)
    const { status } = spawnSync(node24(), [join(root, 'node_modules', program), ...args], {
      cwd: root,
      stdio: 'inherit',
    })
    if (status !== 0) fail(`${name}: failed.`)
  }
}
