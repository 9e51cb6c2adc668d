import { any } from '../any.ts'
import { authz } from './authz.ts'
import { bank } from './bank.ts'
import { blob } from './blob.ts'
import { distribution } from './distribution.ts'
import { feegrant } from './feegrant.ts'
import { gov } from './gov.ts'
import { ibc } from './ibc.ts'
import type { MessageType } from './message-type.ts'
import { staking } from './staking.ts'

const table: Map<string, MessageType> = new Map()

/** A message of a transaction: understood where it stands in the table, else kept as bytes. */
export const anyMessage = any(table)

for (const row of [
  ...bank,
  ...staking,
  ...distribution,
  ...gov(anyMessage),
  ...authz(anyMessage),
  ...feegrant,
  ...ibc,
  ...blob,
])
  table.set(row.typeUrl, row)

/** Every message that is understood, by its type URL. */
export const messageTypes: ReadonlyMap<string, MessageType> = table
