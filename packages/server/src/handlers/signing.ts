import { hash } from 'node:crypto'
import { problemOf } from '@popsigner/api/problems'
import type { Output } from '@popsigner/api/routes'
import { algorithm } from '@popsigner/crypto/algorithms'
import { aggregateBls, verifyAggregateBls } from '@popsigner/crypto/bls12-381-aggregate'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import type { RequestContext } from '../http/access.ts'
import type { Handlers } from '../http/app.ts'
import { RequestFault } from '../http/request-fault.ts'
import { findKey } from '../keys/view.ts'
import type { Activity } from '../log/activity.ts'
import { decodeData, type RawInput, readInput } from '../signing/decide.ts'
import { type Claim, claimsOf, type Signature } from '../signing/signing.ts'
import { createOnce } from './once.ts'
import type { Services } from './services.ts'

type SigningHandlers = Pick<
  Handlers,
  'keys.sign' | 'sign.batch' | 'keys.verify' | 'signatures.aggregate' | 'signatures.verifyAggregate'
>
type SignatureView = Output<'keys.sign'>

/** Handlers that sign, and the one that verifies. */
export function signingHandlers(services: Services, activity: Activity): SigningHandlers {
  const { signing, pool } = services
  const once = createOnce()

  return {
    'keys.sign': (context, { params, body }) =>
      once(context, params.id, async () => {
        const made = await signing.sign(context.caller, params.id, body, claimFor(context, params.id, body))
        if (made instanceof RequestFault) throw made
        return viewSignature(made)
      }),

    'sign.batch': (context, { body }) =>
      once(context, '', async () => {
        const { requests, ...defaults } = body
        const { idempotencyKey, caller, route } = context
        const claims =
          idempotencyKey === null
            ? null
            : claimsOf(caller.credential.actor, route, idempotencyKey, hash('sha256', canonicalJson(body), 'hex'))
        const made = await signing.signAll(
          caller,
          requests.map(({ key_id, ...item }, i) => ({
            key: key_id,
            input: { ...defaults, ...item } as RawInput,
            // Item by item, so that what was refused the first time is decided anew by a repeat.
            claim: claims === null ? null : claims(i),
          })),
        )
        const mismatch = made.find((one) => one instanceof RequestFault && one.code === 'idempotency.body_mismatch')
        if (mismatch) throw mismatch
        return {
          signatures: made.map((one, i) => {
            if (!(one instanceof RequestFault)) return viewSignature(one)
            if (/^(key|quota)\./.test(one.code)) activity.denied(context.caller, 'key.sign_denied', one.code, null)
            return {
              key_id: requests[i]?.key_id ?? '',
              error: { code: one.code, title: problemOf(one.code).title, detail: one.detail.text },
            }
          }),
        }
      }),

    async 'keys.verify'({ caller }, { params, body }) {
      const key = await findKey(pool, caller.credential, params.id)
      const wanted = body.key_version ?? key.primary_version
      const version = key.versions.find((v) => v.version === wanted)
      if (!version) throw new RequestFault('key.version_not_found', `The key has versions 1 to ${key.versions.length}.`)
      if (version.state === 'pre_active' || version.state === 'destroyed')
        throw new RequestFault(
          'key.state_forbids',
          `Version ${wanted} of the key is ${version.state}; it cannot verify.`,
        )
      const input = readInput(key.algorithm, key.schemes, body)
      if (input instanceof RequestFault) throw input
      const { scheme } = input
      const covered = scheme.input === 'digest' ? Buffer.from(input.digest, 'hex') : input.data
      const publicKey = Buffer.from(version.public_key, 'hex')
      const { verify } = algorithm(key.algorithm)
      return { valid: verify(Buffer.from(body.signature, 'base64'), covered, publicKey, scheme.name) }
    },

    'signatures.aggregate'(_context, { body }) {
      const sum = aggregateBls(body.signatures.map((text) => Buffer.from(text, 'base64')))
      if (typeof sum !== 'number') return { signature: Buffer.from(sum).toString('base64') }
      throw new RequestFault('request.invalid', 'One field is not accepted.', {
        errors: [{ field: `signatures[${sum}]`, message: 'must be a BLS signature: a point of G2 in its group' }],
      })
    },

    'signatures.verifyAggregate'(_context, { body }) {
      const messages = body.messages.map(({ data, encoding }) => {
        const decoded = decodeData(data, encoding)
        if (decoded instanceof RequestFault) throw decoded
        return decoded
      })
      const publicKeys = body.public_keys.map((text) => Buffer.from(text, 'hex'))
      return { valid: verifyAggregateBls(Buffer.from(body.signature, 'base64'), messages, publicKeys) }
    },
  }
}

/** The body's fields in the order of its canonical JSON: the hash of this is that of the canonical body. */
function claimFor(context: RequestContext, id: string, body: RawInput): Claim | null {
  if (context.idempotencyKey === null) return null
  const { data, encoding, hash: name, key_version, prehashed, scheme } = body
  const canonical = JSON.stringify({ data, encoding, hash: name, key_version, prehashed, scheme })
  return claimsOf(
    context.caller.credential.actor,
    `keys.sign ${id}`,
    context.idempotencyKey,
    hash('sha256', canonical, 'hex'),
  )(0)
}

function viewSignature(made: Signature): SignatureView {
  return {
    key_id: made.key,
    signature: Buffer.from(made.signature.buffer, made.signature.byteOffset, made.signature.length).toString('base64'),
    public_key: made.publicKey,
    key_version: made.version,
    ...(made.recovery === null ? {} : { recovery_id: made.recovery }),
    record_id: made.record,
  }
}
