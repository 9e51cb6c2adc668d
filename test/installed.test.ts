import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { pathToFileURL } from 'node:url'

/** The exit code of `install` in a clone that has nothing but `there`, and no npm to get the rest with. */
function installIn(locked: Record<string, object>, there: Record<string, object>, dev: boolean): number | null {
  const root = mkdtempSync(join(tmpdir(), 'popsigner-installed-'))
  try {
    cpSync(join(import.meta.dirname, '..', 'scripts'), join(root, 'scripts'), { recursive: true })
    mkdirSync(join(root, 'node_modules', '.bin'), { recursive: true })
    writeFileSync(join(root, 'node_modules', '.bin', 'popsigner'), '')
    for (const path of Object.keys(there)) mkdirSync(join(root, path), { recursive: true })
    writeFileSync(join(root, 'package-lock.json'), JSON.stringify({ packages: { ...locked, ...there } }))
    writeFileSync(join(root, 'node_modules', '.package-lock.json'), JSON.stringify({ packages: there }))
    const url = pathToFileURL(join(root, 'scripts', 'installed.mjs')).href
    const program = `const { install } = await import(${JSON.stringify(url)}); await install({ dev: ${dev} })`
    return spawnSync(process.execPath, ['--input-type=module', '-e', program], { env: { PATH: '' } }).status
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

const there = { 'node_modules/there': { version: '1.0.0' } }

test('a start asks for no package that npm leaves out with the development ones', () => {
  const locked = { 'node_modules/peer': { version: '1.0.0', devOptional: true } }
  assert.equal(installIn(locked, there, false), 0)
  assert.notEqual(installIn(locked, there, true), 0)
})

test('a start asks for a run-time package that is missing', () => {
  assert.notEqual(installIn({ 'node_modules/needed': { version: '1.0.0' } }, there, false), 0)
})
