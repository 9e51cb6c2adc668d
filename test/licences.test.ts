import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '..')

/** SPDX identifiers that ask for no more than their text and their notices. */
const permissive = new Set([
  'MIT',
  'ISC',
  'Apache-2.0',
  'BSD-2-Clause',
  'BSD-3-Clause',
  '0BSD',
  'BlueOak-1.0.0',
  'CC0-1.0',
  'Unlicense',
  'PostgreSQL',
])

/** Packages whose `license` field does not say it, with where it is said. */
const exceptions: Record<string, string> = {}

interface Entry {
  readonly version?: string
  readonly license?: string
  readonly dev?: boolean
  readonly link?: boolean
}

const locked = (
  JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')) as { packages: Record<string, Entry> }
).packages
const runTime = Object.entries(locked).filter(
  ([path, entry]) => path.startsWith('node_modules/') && !entry.dev && !entry.link,
)

test('every run-time dependency has a permissive licence', () => {
  assert.ok(runTime.length > 50, 'the lockfile was read')
  const wrong = runTime
    .filter(([path]) => existsSync(join(root, path)))
    .flatMap(([path]) => {
      const manifest = JSON.parse(readFileSync(join(root, path, 'package.json'), 'utf8')) as {
        name: string
        license?: unknown
      }
      if (exceptions[manifest.name]) return []
      return isPermissive(manifest.license) ? [] : [`${manifest.name}: ${JSON.stringify(manifest.license)}`]
    })
  assert.deepEqual(wrong, [])
})

test('what is not installed on this platform has a permissive licence by the lockfile', () => {
  const wrong = runTime.filter(
    ([path, { license }]) => !existsSync(join(root, path)) && license !== undefined && !isPermissive(license),
  )
  assert.deepEqual(
    wrong.map(([path]) => path),
    [],
  )
})

test('a licence that is not permissive would be noticed', () => {
  for (const licence of [
    'GPL-3.0',
    'AGPL-3.0-only',
    'SEE LICENSE IN LICENSE',
    'UNLICENSED',
    undefined,
    '',
    'MIT AND GPL-2.0',
    { type: 'MIT' },
  ]) {
    assert.equal(isPermissive(licence), false, String(licence))
  }
  for (const licence of ['MIT', '(MIT OR GPL-3.0)', 'MIT OR Apache-2.0', '(BSD-3-Clause AND MIT)'])
    assert.equal(isPermissive(licence), true, licence)
})

test('each of our own packages says Apache-2.0', () => {
  for (const name of ['', ...readdirSync(join(root, 'packages')).map((name) => `packages/${name}`)]) {
    const manifest = JSON.parse(readFileSync(join(root, name, 'package.json'), 'utf8')) as { license?: string }
    assert.equal(manifest.license, 'Apache-2.0', name)
  }
})

/** An SPDX expression is permissive when one alternative is, and an alternative when all of its parts are. */
function isPermissive(licence: unknown): boolean {
  if (typeof licence !== 'string') return false
  const alternatives = licence.replaceAll(/[()]/g, '').split(' OR ')
  return alternatives.some((one) => one.split(' AND ').every((part) => permissive.has(part.trim())))
}
