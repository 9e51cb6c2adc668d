import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runScript } from './test-script.ts'

const scripts = join(import.meta.dirname, '..', 'testdata')

for (const name of readdirSync(scripts).filter((file) => file.endsWith('.txt'))) {
  test(`testdata/${name}`, async (t) => {
    const directory = mkdtempSync(join(tmpdir(), 'popsigner-cli-'))
    t.after(() => rmSync(directory, { recursive: true, force: true }))
    await runScript(readFileSync(join(scripts, name), 'utf8'), directory)
  })
}
