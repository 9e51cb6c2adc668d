import assert from 'node:assert/strict'
import { test } from 'node:test'
import { exitCodeOf } from './exit-codes.ts'
import { Failure, failureDocument, failureLines } from './failure.ts'
import { createOutput, createProgress } from './output.ts'
import { canAsk, mayRedraw, printable, type Terminal, wantsColor } from './terminal.ts'

function terminalWith(environment: Record<string, string>, atTerminal = true): Terminal & { text: string } {
  const write = (text: string): void => {
    terminal.text += text
  }
  const terminal = {
    text: '',
    environment,
    directory: '/',
    stdin: process.stdin,
    out: write,
    err: write,
    inIsTerminal: atTerminal,
    outIsTerminal: atTerminal,
    errIsTerminal: atTerminal,
    columns: 80,
  }
  return terminal
}

test('colour: NO_COLOR outranks CLICOLOR_FORCE outranks the terminal', () => {
  assert.equal(wantsColor(terminalWith({})), true)
  assert.equal(wantsColor(terminalWith({ TERM: 'dumb' })), false)
  assert.equal(wantsColor(terminalWith({}, false)), false)
  assert.equal(wantsColor(terminalWith({ CLICOLOR_FORCE: '1' }, false)), true)
  assert.equal(wantsColor(terminalWith({ CLICOLOR_FORCE: '1', NO_COLOR: '1' })), false)
})

test('nothing redraws itself for ACCESSIBLE or TERM=dumb, and nothing is asked with POPSIGNER_NO_PROMPT', () => {
  assert.equal(mayRedraw(terminalWith({})), true)
  assert.equal(mayRedraw(terminalWith({ ACCESSIBLE: '1' })), false)
  assert.equal(mayRedraw(terminalWith({ TERM: 'dumb' })), false)
  assert.equal(canAsk(terminalWith({})), true)
  assert.equal(canAsk(terminalWith({ POPSIGNER_NO_PROMPT: '1' })), false)
  assert.equal(canAsk(terminalWith({}, false)), false)
})

test('foreign text moves no cursor and turns no writing around', () => {
  assert.equal(printable('plain text, ünïcode, 中文'), 'plain text, ünïcode, 中文')
  assert.equal(printable('\u001b[2Jgone\r\n'), 'U+001B[2JgoneU+000DU+000A')
  assert.equal(printable('evil\u202egnp.exe'), 'evilU+202Egnp.exe')
  const terminal = terminalWith({ NO_COLOR: '1' })
  const output = createOutput(terminal, false)
  output.table(['NAME'], [['\u001b]0;title\u0007']])
  output.fields([['met\u001b', 'val\u009b31m']])
  assert.doesNotMatch(terminal.text, /[\u001b\u0007\u009b]/)
})

test('a table is for people at a terminal and for programs elsewhere', () => {
  const rows = [
    ['a', 1],
    ['long name', null],
  ] as const
  const terminal = terminalWith({})
  createOutput(terminal, false).table(['NAME', 'SIZE'], rows)
  assert.equal(terminal.text, 'NAME       SIZE\na          1\nlong name  –\n')
  const pipe = terminalWith({}, false)
  createOutput(pipe, false).table(['NAME', 'SIZE'], rows)
  assert.equal(pipe.text, 'a\t1\nlong name\t–\n')
})

test('with --json nothing is said but data, and warnings as JSON', () => {
  const terminal = terminalWith({})
  const output = createOutput(terminal, true)
  output.note('for people')
  output.warn('careful')
  assert.equal(terminal.text, '{"warning":"careful"}\n')
})

test('an error says what, why, how to mend it, and where to read on', () => {
  const failure = new Failure('it failed', {
    exit: 1,
    why: 'Because.',
    next: [{ command: 'popsigner x', when: 'to mend it' }],
    docs: 'http://x',
    request: 'req_1',
    code: 'x.y',
  })
  assert.deepEqual(failureLines(failure), [
    '✕ it failed',
    '  why:  Because.',
    '  fix:  popsigner x    # to mend it',
    '  docs: http://x',
    '  request: req_1',
  ])
  assert.deepEqual(failureDocument(failure), {
    code: 'x.y',
    title: 'it failed',
    detail: 'Because.',
    exit: 1,
    next: [{ command: 'popsigner x', when: 'to mend it' }],
  })
})

test('exit codes of refusals', () => {
  const expected = [
    ['request.invalid', 400, 2],
    ['auth.invalid', 401, 4],
    ['scope.missing', 403, 4],
    ['key.use_not_allowed', 403, 3],
    ['quota.signatures_exceeded', 403, 3],
    ['key.not_found', 404, 6],
    ['record.expired', 410, 6],
    ['key.changed', 412, 1],
    ['rate.limited', 429, 75],
    ['log.behind', 503, 75],
    ['internal.error', 500, 1],
  ] as const
  for (const [code, status, exit] of expected) assert.equal(exitCodeOf(code, status), exit, code)
})

test('progress is silent for 300 ms, then says how far it is', async () => {
  const terminal = terminalWith({ ACCESSIBLE: '1' })
  const progress = createProgress(terminal, 'items', 10)
  progress.update(1)
  assert.equal(terminal.text, '')
  await new Promise((done) => setTimeout(done, 320))
  progress.update(5, 1)
  progress.update(6, 1)
  assert.match(terminal.text, /^5 of 10 items, 1 failed, \d+ a second\n$/)
  assert.match(progress.summary(), /^6 of 10 items/)
})
