import assert from 'node:assert/strict'
import { existsSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorsBody, errorsMarkdown } from './errors-page.ts'
import { describeProblem, isProblemCode, problemCodes, problemDocument, problemOf, problemType } from './problems.ts'
import { problemsOf, routeIds, routelessProblems, routeOf } from './routes.ts'

test('every code is answered by a route or named as having none, and only those of the table are', () => {
  const used = new Set<string>(routelessProblems)
  for (const id of routeIds) for (const code of problemsOf(routeOf(id))) used.add(code)
  assert.deepEqual(
    [...used].filter((code) => !isProblemCode(code)),
    [],
  )
  assert.deepEqual(
    problemCodes.filter((code) => !used.has(code)),
    [],
  )
})

test('what a batch reports for an item is what the single route answers', () => {
  const single = new Set(problemsOf(routeOf('keys.sign')))
  for (const code of problemsOf(routeOf('sign.batch'))) assert.ok(single.has(code), code)
})

test('rows are complete: names as noun.state, sentences that end, a retry only where waiting can help', () => {
  const titles = new Set<string>()
  for (const code of problemCodes) {
    const { title, cause, fix, example, retry, status } = problemOf(code)
    assert.match(code, /^[a-z_]+\.[a-z_]+$/)
    for (const sentence of [title, cause, fix, example])
      assert.match(sentence, /^[A-Za-z0-9].*[.…>]$/s, `${code}: ${sentence}`)
    assert.ok(!titles.has(title), `${code} shares its title`)
    titles.add(title)
    if (retry) assert.ok([409, 429, 503].includes(status), code)
    if (status === 429) assert.ok(retry, code)
  }
})

test('what is another tenant’s answers 404 with the code of what does not exist', () => {
  for (const code of problemCodes.filter((name) => name.endsWith('.not_found') || name.endsWith('_not_found'))) {
    assert.equal(problemOf(code).status, 404, code)
  }
})

test('a document parses under its own schema and carries errors only where there are some', () => {
  for (const code of problemCodes) {
    const document = describeProblem(code, problemOf(code).example, 'req_01h455vb4pex5vsknk084sn02q')
    assert.deepEqual(problemDocument.parse(document), document)
    assert.equal('errors' in document, false)
    assert.equal(document.type, problemType(code))
  }
  const invalid = describeProblem('request.invalid', 'x', 'req_01h455vb4pex5vsknk084sn02q', [
    { field: 'a', message: 'b' },
  ])
  assert.deepEqual(problemDocument.parse(invalid).errors, [{ field: 'a', message: 'b' }])
  assert.equal(problemDocument.safeParse({ ...invalid, extra: 1 }).success, false)
  assert.equal(problemDocument.safeParse({ ...invalid, code: 'no.such_code' }).success, false)
})

test('isProblemCode knows nothing that objects inherit', () => {
  for (const name of ['toString', '__proto__', 'constructor', '']) assert.equal(isProblemCode(name), false)
})

test('the page and the file have a section for every code and no other', () => {
  const inPage = [...errorsBody().matchAll(/id="([^"]+)"/g)].map((match) => match[1])
  const inFile = [...errorsMarkdown().matchAll(/^## (.+)$/gm)].map((match) => match[1])
  assert.deepEqual(inPage, problemCodes)
  assert.deepEqual(inFile, problemCodes)
})

const file = new URL('../../../docs/errors.md', import.meta.url)
test('docs/errors.md is what the table says', { skip: existsSync(file) ? false : 'docs/errors.md is not here' }, () => {
  assert.equal(readFileSync(file, 'utf8'), errorsMarkdown())
})
