import { base64, fromBase64, fromUtf8, utf8 } from '@popsigner/crypto/bytes'
import type { Json } from '../chain.ts'
import { decodeAddress } from './address.ts'
import { malformed } from './refuse.ts'
import { type Kind, message, one, type Place, type Value } from './shape.ts'
import type { Payload } from './wire.ts'

const decimals = /^(0|[1-9][0-9]*)$/

/** UTF-8. */
export const text: Kind<string> = textKind(() => {})

/** An account, `bech32` in lower case, so that an account has one text. */
export const address: Kind<string> = textKind((value, at) => {
  if (value === '') return
  try {
    decodeAddress(value)
  } catch {
    throw malformed(at.path, 'is no bech32 address in lower case')
  }
})

/** A decimal whole number without sign or leading zeros, at most 256 bits (math.Int). */
const wholeNumber: Kind<string> = textKind((value, at) => {
  if (!decimals.test(value) || value.length > 78 || BigInt(value) >= 1n << 256n)
    throw malformed(at.path, 'must be a whole number of at most 256 bits, in decimal')
})

/** The name of a coin (types.Coin of the SDK, reDnmString). */
const denomination: Kind<string> = textKind((value, at) => {
  if (!/^[a-zA-Z][a-zA-Z0-9/:._-]{2,127}$/.test(value)) throw malformed(at.path, 'is no name of a coin')
})

export const bytes: Kind<Uint8Array> = {
  wire: 'bytes',
  zero: new Uint8Array(),
  read: (payload) => payload as Uint8Array,
  write: (value) => value,
  fromAmino: (json, at) => {
    if (typeof json !== 'string') throw malformed(at.path, 'must be base64')
    try {
      return fromBase64(json)
    } catch {
      throw malformed(at.path, 'must be base64 with padding')
    }
  },
  toAmino: base64,
}

/** JSON has it as text, since a double cannot. */
export const uint64: Kind<bigint> = bigNumber(1n << 64n)

/** An int64 that is never negative here: heights and seconds. */
export const natural63: Kind<bigint> = bigNumber(1n << 63n)

export const uint32: Kind<number> = smallNumber((value) => value < 1n << 32n, 'must be below 2^32')

export const bool: Kind<boolean> = {
  wire: 'varint',
  zero: false,
  read: (payload, at) => {
    if (payload !== 1n && payload !== 0n) throw malformed(at.path, 'must be 0 or 1')
    return payload === 1n
  },
  write: (value) => (value ? 1n : 0n),
  fromAmino: (json, at) => {
    if (typeof json !== 'boolean') throw malformed(at.path, 'must be true or false')
    return json
  },
  toAmino: (value) => value,
}

/** A number with a name; others are refused. */
export function enumeration(names: Readonly<Record<number, string>>): Kind<number> {
  return smallNumber((value) => names[Number(value)] !== undefined, 'is not a number of that enumeration')
}

const coinShape = { denom: one(1, denomination), amount: one(2, wholeNumber) }

/** An amount of a coin. */
export type Coin = Value<typeof coinShape>
export const coin: Kind<Coin> = requireEach(message(coinShape))

/** A fraction: in protobuf a whole number of 10^-18 (LegacyDec), in JSON a decimal with 18 digits after the point. */
export const decimal18: Kind<string> = {
  ...wholeNumber,
  fromAmino: (json, at) => {
    const match = typeof json === 'string' ? /^(0|[1-9][0-9]*)\.([0-9]{18})$/.exec(json) : null
    if (match === null) throw malformed(at.path, 'must be a decimal with 18 digits after the point')
    return String(BigInt(`${match[1]}${match[2]}`))
  },
  toAmino: (value) => {
    const digits = value.padStart(19, '0')
    return `${digits.slice(0, -18)}.${digits.slice(-18)}`
  },
}

const nanos = smallNumber((value) => value < 1_000_000_000n, 'must be below 10^9')
const momentShape = { seconds: one(1, natural63), nanos: one(2, nanos) }

/** Seconds since 1970 and the rest in nanoseconds. */
type Moment = Value<typeof momentShape>

/** The last second that RFC 3339 can write: the end of the year 9999. */
const lastSecond = 253_402_300_799n

/** google.protobuf.Timestamp from 1970 on; JSON has it in RFC 3339 with as many digits as it needs. */
export const timestamp: Kind<Moment> = {
  ...message(momentShape),
  read: (payload, at) => inRange(message(momentShape).read(payload, at), at),
  fromAmino: (json, at) => {
    const match = typeof json === 'string' ? /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z$/.exec(json) : null
    const milliseconds = match === null ? Number.NaN : Date.parse(`${match[1]}Z`)
    if (match === null || !(milliseconds >= 0))
      throw malformed(at.path, 'must be a time from 1970 on, in RFC 3339 and UTC')
    return { seconds: BigInt(milliseconds / 1000), nanos: Number((match[2] ?? '').padEnd(9, '0')) }
  },
  toAmino: (value) => {
    const whole = new Date(Number(value.seconds) * 1000).toISOString().slice(0, 19)
    const fraction = String(value.nanos).padStart(9, '0').replace(/0+$/, '')
    return `${whole}${fraction === '' ? '' : `.${fraction}`}Z`
  },
}

/** google.protobuf.Duration; JSON has it in nanoseconds. */
export const duration: Kind<Moment> = {
  ...message(momentShape),
  fromAmino: (json, at) => {
    if (typeof json !== 'string' || !decimals.test(json) || json.length > 19)
      throw malformed(at.path, 'must be a number of nanoseconds as text')
    const whole = BigInt(json)
    return { seconds: whole / 1_000_000_000n, nanos: Number(whole % 1_000_000_000n) }
  },
  toAmino: (value) => String(value.seconds * 1_000_000_000n + BigInt(value.nanos)),
}

function inRange(value: Moment, at: Place): Moment {
  if (value.seconds > lastSecond) throw malformed(at.path, 'is after the year 9999')
  return value
}

function textKind(check: (value: string, at: Place) => void): Kind<string> {
  const checked = (value: string, at: Place): string => {
    check(value, at)
    return value
  }
  return {
    wire: 'bytes',
    zero: '',
    read: (payload, at) => {
      let value: string
      try {
        value = fromUtf8(payload as Uint8Array)
      } catch {
        throw malformed(at.path, 'is not UTF-8')
      }
      return checked(value, at)
    },
    write: utf8,
    fromAmino: (json, at) => {
      if (typeof json !== 'string') throw malformed(at.path, 'must be text')
      if (!json.isWellFormed()) throw malformed(at.path, 'has a lone surrogate')
      return checked(json, at)
    },
    toAmino: (value) => value,
  }
}

function bigNumber(limit: bigint): Kind<bigint> {
  const checked = (value: bigint, at: Place): bigint => {
    if (value >= limit) throw malformed(at.path, `must be below ${limit}`)
    return value
  }
  return {
    wire: 'varint',
    zero: 0n,
    read: (payload, at) => checked(payload as bigint, at),
    write: (value) => value,
    fromAmino: (json, at) => {
      if (typeof json !== 'string' || !decimals.test(json) || json.length > 20)
        throw malformed(at.path, 'must be a whole number as text')
      return checked(BigInt(json), at)
    },
    toAmino: String,
  }
}

function smallNumber(accepts: (value: bigint) => boolean, reason: string): Kind<number> {
  const checked = (value: bigint, at: Place): number => {
    if (!accepts(value)) throw malformed(at.path, reason)
    return Number(value)
  }
  return {
    wire: 'varint',
    zero: 0,
    read: (payload: Payload, at) => checked(payload as bigint, at),
    write: BigInt,
    fromAmino: (json: Json, at) => {
      if (typeof json !== 'number' || !Number.isSafeInteger(json) || json < 0)
        throw malformed(at.path, 'must be a whole number')
      return checked(BigInt(json), at)
    },
    toAmino: (value) => value,
  }
}

/** A coin must have both its fields: absent ones would pass as the empty texts that no coin has. */
function requireEach(kind: Kind<Coin>): Kind<Coin> {
  const checked = (value: Coin, at: Place): Coin => {
    if (value.denom === '') throw malformed(`${at.path}.denom`, 'is missing')
    if (value.amount === '') throw malformed(`${at.path}.amount`, 'is missing')
    return value
  }
  return {
    ...kind,
    read: (payload, at) => checked(kind.read(payload, at), at),
    fromAmino: (json, at) => checked(kind.fromAmino(json, at), at),
  }
}
