import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { createBulk, isBulk } from './bulk.ts'

test('one at a time for each organization, others beside it', async () => {
  const bulk = createBulk(() => 0)
  const order: string[] = []
  const task = (name: string, milliseconds: number) => async () => {
    order.push(`${name} begins`)
    await delay(milliseconds)
    order.push(`${name} ends`)
    return name
  }
  const answers = await Promise.all([
    bulk.run('a', task('a1', 40)),
    bulk.run('a', task('a2', 1)),
    bulk.run('b', task('b1', 1)),
  ])
  assert.deepEqual(answers, ['a1', 'a2', 'b1'])
  assert.deepEqual(order, ['a1 begins', 'b1 begins', 'b1 ends', 'a1 ends', 'a2 begins', 'a2 ends'])
})

test('it rests six times as long as it took when signatures were asked for meanwhile, and not at all otherwise', async () => {
  let signatures = 0
  const bulk = createBulk(() => signatures)
  const turn = async (signing: boolean): Promise<number> => {
    await bulk.run('a', async () => {
      if (signing) signatures++
      await delay(50)
    })
    const left = performance.now()
    await bulk.run('a', async () => {})
    return performance.now() - left
  }
  const idle = await turn(false)
  const rested = await turn(true)
  assert.ok(rested >= 290, `${rested} ms`)
  assert.ok(idle < rested / 2, `${idle} ms`)
})

test('what fails leaves the lane to the next', async () => {
  const bulk = createBulk(() => 0)
  await assert.rejects(
    bulk.run('a', async () => {
      throw new Error('no')
    }),
    /no/,
  )
  assert.equal(await bulk.run('a', async () => 1), 1)
})

test('signing is not bulk work, streaming the log is', () => {
  assert.equal(isBulk('keys.sign'), false)
  assert.equal(isBulk('sign.batch'), false)
  assert.equal(isBulk('audit.list'), true)
})
