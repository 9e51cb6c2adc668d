import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { base64, fromBase64, utf8 } from '@popsigner/crypto/bytes'
import { ChainFault } from '../../fault.ts'
import { parseSortedJson, sortedJson } from '../amino-json.ts'
import { anyMessage, messageTypes } from './messages.ts'

interface Row {
  readonly type_url: string
  readonly value: string
  readonly amino: string
}

const rows: readonly Row[] = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../../vectors/cosmos-sdk/amino.json'), 'utf8'),
)
const at = { path: 'message', depth: 0 }

/** Vectors that the SDK's encoder writes and its modules refuse: nothing is moved, or something has no name. */
const empty = new Set([
  '{"type":"cosmos-sdk/MsgSend","value":{"amount":[]}}',
  '{"type":"cosmos-sdk/MsgMultiSend","value":{"inputs":null,"outputs":null}}',
])

function isRefused(row: Row): boolean {
  const { value } = JSON.parse(row.amino) as { value: Record<string, unknown> }
  const needed = ['MsgSend', 'MsgFundCommunityPool', 'MsgDeposit'].some((name) => row.type_url.endsWith(name))
  const nothing = needed && (value['amount'] === null || (value['amount'] as unknown[] | undefined)?.length === 0)
  const noProposal = row.type_url.endsWith('MsgVote') && value['option'] === undefined
  const noMessages = row.type_url.endsWith('MsgExec') && value['msgs'] === undefined
  return empty.has(row.amino) || nothing || noProposal || noMessages
}

test('amino JSON is the one of x/tx, both ways, for every type of message but those that it does not have', () => {
  const seen = new Set<string>()
  for (const row of rows.filter((one) => !isRefused(one))) {
    const bytes = anyMessage.write({ typeUrl: row.type_url, bytes: fromBase64(row.value), known: undefined })
    const fromProtobuf = anyMessage.read(bytes, at)
    assert.equal(sortedJson(anyMessage.toAmino(fromProtobuf, 'sign')), row.amino)
    const fromAmino = anyMessage.fromAmino(parseSortedJson(utf8(row.amino)), at)
    assert.equal(base64(fromAmino.bytes), row.value)
    assert.equal(base64(anyMessage.write(fromProtobuf) as Uint8Array), base64(bytes as Uint8Array))
    seen.add(row.type_url)
  }
  const without = [...messageTypes.keys()].filter((url) => !seen.has(url))
  assert.deepEqual(without, ['/ibc.applications.transfer.v1.MsgTransfer', '/celestia.blob.v1.MsgPayForBlobs'])
})

test('messages that move nothing or name nobody are refused in both forms', () => {
  const refused = rows.filter(isRefused)
  assert.equal(refused.length, 9)
  for (const row of refused) {
    const bytes = anyMessage.write({ typeUrl: row.type_url, bytes: fromBase64(row.value), known: undefined })
    assert.throws(() => anyMessage.read(bytes, at), ChainFault, row.amino)
    assert.throws(() => anyMessage.fromAmino(parseSortedJson(utf8(row.amino)), at), ChainFault, row.amino)
  }
})
