import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readConfig } from '@popsigner/server/supervise/config'
import { buildParser, everyNode, optionName, optionsOf } from './command.ts'
import { clientVariables, serverVariables } from './environment.ts'
import { runCommand } from './test-script.ts'
import { groups, rows } from './tree.ts'

const root = buildParser(
  groups,
  rows,
  async () => {},
  () => {},
  80,
)

test('every command has --json, a summary, a description and examples of itself', () => {
  for (const row of rows) {
    assert.ok(
      optionsOf(row).some(({ flags }) => flags === '--json'),
      row.path,
    )
    assert.match(row.summary, /^[A-Z].*[^.]$/, row.path)
    assert.match(row.description, /\.$/, row.path)
    assert.ok(row.examples.length > 0, row.path)
    for (const example of row.examples)
      assert.match(example, new RegExp(`popsigner ${row.path.split(' ').join(' ')}`), row.path)
    for (const option of optionsOf(row)) assert.match(option.description, /\.( .*\))?$/, `${row.path} ${option.flags}`)
  }
})

test('every node of the tree is a row or a group, and every leaf of it is a row', () => {
  for (const node of everyNode(root)) {
    const words: string[] = []
    for (let at: typeof node | null = node; at !== null && at !== root; at = at.parent) words.unshift(at.name())
    const path = words.join(' ')
    const row = rows.find((one) => one.path === path)
    if (node.commands.length === 0) assert.ok(row, path)
    else assert.ok(row ?? groups.find((group) => group.path === path), path)
    if (row)
      assert.ok(
        node.options.some(({ long }) => long === '--json'),
        path,
      )
  }
})

test('no option takes a secret, and none has a name of two meanings', () => {
  for (const row of rows) {
    const names = optionsOf(row).map(({ flags }) => optionName(flags))
    assert.equal(new Set(names).size, names.length, row.path)
    for (const { flags } of optionsOf(row)) {
      assert.doesNotMatch(flags, /--(private-key|secret|password|token)\b/, row.path)
      if (flags.includes('--api-key')) assert.doesNotMatch(flags, /</, row.path)
    }
  }
})

test('an option has names of one kind wherever it stands, and a command that needs an API key says what it calls', () => {
  const kinds = new Map<string, string>()
  for (const row of rows) {
    for (const { flags, completes } of optionsOf(row)) {
      if (completes === undefined) continue
      assert.equal(kinds.get(optionName(flags)) ?? completes, completes, `${row.path} ${flags}`)
      kinds.set(optionName(flags), completes)
    }
    if (row.speaksTo === 'api' && !['logout', 'auth token'].includes(row.path))
      assert.ok((row.calls ?? row.also ?? []).length > 0, row.path)
  }
})

test('what an example shows is understood by the parser', async () => {
  for (const row of rows) {
    for (const example of row.examples) {
      // The part of a pipe that is this command, without what the shell takes away.
      const part = example.split(' | ').find((one) => one.includes(`popsigner ${row.path}`)) ?? ''
      const command = part
        .slice(part.lastIndexOf(`popsigner ${row.path}`) + 'popsigner '.length)
        .replace(/\)$| [<>] .*$/g, '')
      const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2] ?? '')
      const called: string[] = []
      const parser = buildParser(
        groups,
        rows,
        async ({ path }) => void called.push(path),
        () => {},
        80,
      )
      await parser.parseAsync(words, { from: 'user' })
      assert.deepEqual(called, [row.path], example)
    }
  }
})

test('the cost of an exportable key stands beside the flag', async () => {
  for (const path of ['keys create', 'keys create-batch', 'keys import']) {
    const { stdout } = await runCommand('/', [...path.split(' '), '--help'])
    const help = stdout.replace(/\s+/g, ' ')
    assert.match(
      help,
      /--exportable .*take the key away and sign with it where no record is made. It cannot be changed later/,
      path,
    )
  }
})

test('the server and the command know the same variables', () => {
  for (const name of Object.keys({ ...clientVariables, ...serverVariables })) {
    const value = name.endsWith('_PORT')
      ? '8080'
      : name.endsWith('_HOST')
        ? '127.0.0.1'
        : name.endsWith('_LEVEL')
          ? 'info'
          : 'x'
    const both = name.startsWith('POPSIGNER_TLS_')
      ? { POPSIGNER_TLS_CERT_FILE: 'x', POPSIGNER_TLS_KEY_FILE: 'x' }
      : { [name]: value }
    readConfig(both, '/', { plainHttp: false, unlockedMemory: false })
  }
  assert.throws(
    () => readConfig({ POPSIGNER_FOO: 'x' }, '/', { plainHttp: false, unlockedMemory: false }),
    /POPSIGNER_FOO/,
  )
})
