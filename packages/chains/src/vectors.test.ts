import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const folder = join(import.meta.dirname, '../vectors')

test('every vector file is the one whose SHA-256 its README states, with source and licence', () => {
  const origins = readdirSync(folder)
  assert.ok(origins.length > 0)
  for (const origin of origins) {
    const readme = readFileSync(join(folder, origin, 'README.md'), 'utf8')
    assert.match(readme, /Source: /, origin)
    assert.match(readme, /Licence: /, origin)
    for (const name of readdirSync(join(folder, origin))) {
      if (name === 'README.md') continue
      const digest = createHash('sha256')
        .update(readFileSync(join(folder, origin, name)))
        .digest('hex')
      assert.ok(readme.includes(`| \`${name}\` | \`${digest}\` |`), `${origin}/${name}`)
    }
  }
})
