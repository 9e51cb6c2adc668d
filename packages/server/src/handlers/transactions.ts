import { hash } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import { problemOf } from '@popsigner/api/problems'
import type { Input, Output } from '@popsigner/api/routes'
import { chainOf, mainNetworks } from '@popsigner/chains/chains'
import { canonicalJson } from '@popsigner/crypto/canonical-json'
import type { RequestContext } from '../http/access.ts'
import type { Handlers } from '../http/app.ts'
import { faultOf } from '../http/faults-of.ts'
import { RequestFault } from '../http/request-fault.ts'
import type { Activity } from '../log/activity.ts'
import {
  attach,
  inputsOf,
  messageInput,
  type ReadTransaction,
  readMessage,
  readTransaction,
  signerOf,
  versionOf,
  viewMeaning,
  viewTransaction,
} from '../signing/prepare.ts'
import { type AskedSignature, type Caller, type Claim, claimsOf, type Signature } from '../signing/signing.ts'
import type { SigningKey } from '../tenants/signing-key.ts'
import { createOnce } from './once.ts'
import type { Services } from './services.ts'

type TransactionHandlers = Pick<
  Handlers,
  'transactions.decode' | 'keys.signTransaction' | 'transactions.signBatch' | 'keys.signMessage' | 'keys.addresses'
>
type Item = Input<'transactions.signBatch'>['body']['requests'][number]
type SignedTransaction = Output<'keys.signTransaction'>
type Prepared = {
  readonly key: SigningKey
  readonly version: number
  readonly read: ReadTransaction
  readonly asked: readonly AskedSignature[]
}

/** How long transactions of one batch are read before other requests have their turn. */
const turnMilliseconds = 5

/** Handlers that read transactions and messages of chains, and sign them. */
export function transactionHandlers(services: Services, activity: Activity): TransactionHandlers {
  const { signing } = services
  const once = createOnce()

  async function keyOf(caller: Caller, id: string): Promise<SigningKey> {
    const key = await signing.find(caller, id)
    if (!key) throw new RequestFault('key.not_found', 'No key has this id.')
    return key
  }

  /** What is to be signed of an item; `claim` makes the claim for each of its signatures. */
  async function prepare(caller: Caller, item: Item, claim: (i: number) => Claim | null): Promise<Prepared> {
    const key = await keyOf(caller, item.key_id)
    const version = versionOf(key, item.key_version)
    const signer = signerOf(key, version)
    const read = readTransaction(item, signer)
    const inputs = inputsOf(read, signer, version.version)
    return {
      key,
      version: version.version,
      read,
      asked: inputs.map((input, i) => ({ key: item.key_id, input, claim: claim(i) })),
    }
  }

  /** The answer for an item whose signatures were made, each or none. Throws the first refusal. */
  function conclude(item: Item, prepared: Prepared, made: readonly (Signature | RequestFault)[]): SignedTransaction {
    const { key } = prepared
    const signatures = made.map((one) => {
      if (one instanceof RequestFault) throw one
      return one
    })
    const [first] = signatures as [Signature]
    // A repeat signs with the version of the first time, which may not be the primary one any more.
    const signer = signerOf(key, versionOf(key, first.version))
    const read = first.version === prepared.version ? prepared.read : readTransaction(item, signer)
    const signed = attach(read, signer, signatures)
    return {
      key_id: key.text,
      key_version: first.version,
      record_id: first.record,
      ...viewTransaction(signed, signatures),
    }
  }

  return {
    async 'transactions.decode'({ caller }, { body }) {
      if (body.key_id === undefined) return viewTransaction(readTransaction(body, null))
      const key = await keyOf(caller, body.key_id)
      return viewTransaction(readTransaction(body, signerOf(key, versionOf(key, undefined))))
    },

    'keys.signTransaction': (context, { params, body }) =>
      once(context, params.id, async () => {
        const item = { key_id: params.id, ...body }
        const prepared = await prepare(context.caller, item, claimsFor(context, params.id, body))
        return conclude(item, prepared, await signing.signAll(context.caller, prepared.asked))
      }),

    'transactions.signBatch': (context, { body }) =>
      once(context, '', async () => {
        const claim = claimsFor(context, '', body)
        const asked: AskedSignature[] = []
        const items: (RequestFault | { readonly prepared: Prepared; readonly from: number })[] = []
        let turn = performance.now()
        for (const [place, item] of body.requests.entries()) {
          try {
            const from = asked.length
            // By its place in the request: what is refused before it may be another item when the request is repeated.
            const one = await prepare(context.caller, item, (i) => claim(`${place}.${i}`))
            asked.push(...one.asked)
            items.push({ prepared: one, from })
          } catch (error) {
            items.push(refusal(error))
          }
          if (performance.now() - turn < turnMilliseconds) continue
          await setImmediate()
          turn = performance.now()
        }
        const made = await signing.signAll(context.caller, asked)
        const mismatch = made.find((one) => one instanceof RequestFault && one.code === 'idempotency.body_mismatch')
        if (mismatch) throw mismatch
        return {
          transactions: items.map((one, i) => {
            const item = body.requests[i] as Item
            try {
              if (one instanceof RequestFault) throw one
              return conclude(item, one.prepared, made.slice(one.from, one.from + one.prepared.asked.length))
            } catch (error) {
              const { code, detail } = refusal(error)
              if (/^(key|quota)\./.test(code)) activity.denied(context.caller, 'key.sign_denied', code, null)
              return { key_id: item.key_id, error: { code, title: problemOf(code).title, detail: detail.text } }
            }
          }),
        }
      }),

    'keys.signMessage': (context, { params, body }) =>
      once(context, params.id, async () => {
        const { caller } = context
        const key = await keyOf(caller, params.id)
        const version = versionOf(key, body.key_version)
        const { prepared, network } = readMessage(body, signerOf(key, version))
        const input = messageInput(prepared, network, version.version)
        const made = await signing.sign(caller, params.id, input, claimsFor(context, params.id, body)(0))
        if (made instanceof RequestFault) throw made
        // As above: a repeat is of the version of the first time.
        const said = readMessage(body, signerOf(key, versionOf(key, made.version)))
        const { signature, recovery } = made
        return {
          key_id: key.text,
          key_version: made.version,
          record_id: made.record,
          ...viewMeaning(network, said.prepared.effects, said.prepared.warnings),
          signer: said.address,
          signature: said.prepared.encode({ signature, ...(recovery === null ? {} : { recovery }) }),
        }
      }),

    async 'keys.addresses'({ caller }, { params, query }) {
      const key = await keyOf(caller, params.id)
      const networks = (query.chain === undefined ? mainNetworks : [query.chain]).map(chainOf)
      const versions = [...key.versions.values()].sort(
        (a, b) =>
          Number(b.version === key.primaryVersion) - Number(a.version === key.primaryVersion) || b.version - a.version,
      )
      return {
        addresses: versions.flatMap((version) =>
          networks.flatMap(({ chain, network }) =>
            chain
              .addresses(signerOf(key, version), network)
              .map((one) => ({ key_version: version.version, chain: network.id, ...one })),
          ),
        ),
      }
    },
  }

  function refusal(error: unknown): RequestFault {
    const fault = faultOf(error)
    // Nobody meant it for the caller: the request fails, and the log has the reason.
    if (fault.code === 'internal.error') throw error
    return fault
  }
}

/** The claims of a request's signatures, by their place; none without an Idempotency-Key. */
function claimsFor(
  { caller, route, idempotencyKey }: RequestContext,
  id: string,
  body: unknown,
): (i: number | string) => Claim | null {
  if (idempotencyKey === null) return () => null
  const bodyHash = hash('sha256', canonicalJson(JSON.parse(JSON.stringify(body))), 'hex')
  return claimsOf(caller.credential.actor, `${route} ${id}`, idempotencyKey, bodyHash)
}
