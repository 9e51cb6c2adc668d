import { address, coin, text, uint64 } from '../kinds.ts'
import { message, one, optional, required } from '../shape.ts'
import { type MessageType, messageType, moneyOf } from './message-type.ts'

const height = message({ revision_number: one(1, uint64), revision_height: one(2, uint64) })

/** ibc.applications.transfer.v1 (ICS-20), as ibc-go has it up to v8. */
export const ibc: readonly MessageType[] = [
  messageType({
    typeUrl: '/ibc.applications.transfer.v1.MsgTransfer',
    amino: 'cosmos-sdk/MsgTransfer',
    shape: {
      source_port: required(1, text),
      source_channel: required(2, text),
      token: required(3, coin),
      sender: required(4, address),
      receiver: required(5, text),
      // The SDK always writes it; clients in JavaScript leave it out where they set a time only.
      timeout_height: optional(6, height, {}),
      timeout_timestamp: one(7, uint64),
      memo: one(8, text),
    },
    signers: (value) => [value.sender],
    effects: (value, where) => [
      {
        kind: 'bridge',
        from: value.sender,
        to: value.receiver,
        ...moneyOf(value.token, where),
        through: `${value.source_port}/${value.source_channel}`,
        ...(value.memo === '' ? {} : { memo: value.memo }),
      },
    ],
  }),
]
