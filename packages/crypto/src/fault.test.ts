import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from './fault.ts'

test('a fault is an error that says its layer, its code and its detail', () => {
  class RoomFault extends Fault<'room.full', { readonly seats: number }> {}
  const cause = new Error('inside')
  const fault = new RoomFault('room.full', { seats: 4 }, { cause })
  assert.ok(fault instanceof Fault && fault instanceof Error)
  assert.deepEqual(
    [fault.name, fault.message, fault.code, fault.detail.seats],
    ['RoomFault', 'room.full', 'room.full', 4],
  )
  assert.equal(fault.cause, cause)
  assert.equal('cause' in new RoomFault('room.full', { seats: 1 }), false)
})
