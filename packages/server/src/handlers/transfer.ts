import { hash } from 'node:crypto'
import type { Input } from '@popsigner/api/routes'
import { readExportTerms } from '@popsigner/api/schemas/keys'
import { factsOf } from '@popsigner/crypto/algorithm-facts'
import { decodeTypeId, encodeTypeId, uuidBytes, uuidText } from '@popsigner/crypto/typeid'
import { CustodyFault } from '@popsigner/custody/faults'
import { Answer, type Handlers } from '../http/app.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import { creationRecord, insertKeys, newKey, specOf, termsOf } from '../keys/create.ts'
import { findKey, tagOf, viewKey } from '../keys/view.ts'
import { actorOf, currentKey, replayedLeaf, requestClaim, type Services } from './services.ts'

type TransferHandlers = Pick<Handlers, 'keys.createWrappingKey' | 'keys.import' | 'keys.export'>

const wrappingKeyMilliseconds = 3_600_000

/** Handlers that move keys in and out, sealed by HPKE. The plaintext is never in this process. */
export function transferHandlers(services: Services): TransferHandlers {
  const { pool, changes, signer, keeper, instance } = services

  return {
    async 'keys.createWrappingKey'(context) {
      const { organization } = context.caller.credential
      await keeper.prove(organization)
      const id = newUuid()
      const expiresAt = new Date(Date.now() + wrappingKeyMilliseconds)
      const made = await signer.createWrappingKey(currentKey(organization), id, expiresAt.toISOString())
      const claim = requestClaim(context, '', {})?.claim ?? null
      await pool.query(
        `with forgotten as (delete from wrapping_keys where expires_at < now() - interval '1 day')
         insert into wrapping_keys (id, organization_id, public_key, expires_at, spec, envelope, sealed_by, signature, claim)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (organization_id, claim) do nothing`,
        [
          uuidText(id),
          organization.id,
          Buffer.from(made.publicKey),
          expiresAt,
          Buffer.from(made.material.spec),
          Buffer.from(made.material.envelope),
          organization.currentOrganizationKey,
          Buffer.from(made.signature),
          claim,
        ],
      )
      // What stands there now: what was made, or what the first request with this idempotency key has made.
      const {
        rows: [row],
      } = await pool.query<{ id: string; public_key: Buffer; expires_at: Date; signature: Buffer }>(
        'select id, public_key, expires_at, signature from wrapping_keys where organization_id = $1 and (id = $2 or claim = $3)',
        [organization.id, uuidText(id), claim],
      )
      if (!row) throw new Error('a wrapping key that was made is not there')
      return {
        id: encodeTypeId('wk', uuidBytes(row.id)),
        public_key: row.public_key.toString('hex'),
        instance,
        organization: organization.text,
        expires_at: row.expires_at.toISOString(),
        signature: row.signature.toString('base64'),
      }
    },

    async 'keys.import'(context, { body }) {
      const { caller } = context
      await keeper.prove(caller.credential.organization)
      const terms = termsOf(body, readExportTerms(body))
      judgeLengths(body)
      const claim = requestClaim(context, '', body)
      const changed = await changes.run(actorOf(caller), async (actor) => {
        const { organization } = actor
        const key = newKey({ ...caller.credential, organization }, body.name, body.namespace, body.metadata, terms)
        const id = decodeTypeId(body.wrapping_key_id, 'wk')
        const {
          rows: [wrapping],
        } = await pool.query<{
          expires_at: Date
          used_at: Date | null
          spec: Buffer
          envelope: Buffer
          sealed_by: string
        }>(
          'select expires_at, used_at, spec, envelope, sealed_by from wrapping_keys where id = $1 and organization_id = $2',
          [id && uuidText(id), organization.id],
        )
        if (!wrapping || !id) throw new RequestFault('wrapping_key.not_found', 'No wrapping key has this id.')
        // One that was used may still be a repeat of the import that used it: the transaction knows.
        if (wrapping.used_at && claim === null) throw usedAlready()
        if (wrapping.expires_at.getTime() <= Date.now() && !wrapping.used_at)
          throw new RequestFault(
            'wrapping_key.expired',
            `The wrapping key expired at ${wrapping.expires_at.toISOString()}.`,
          )
        if (wrapping.sealed_by !== organization.currentOrganizationKey)
          throw new RequestFault(
            'wrapping_key.expired',
            'The wrapping key ended with a rotation of the organization’s key.',
          )
        const made = await signer
          .import({
            recordId: newUuid(),
            organizationKey: currentKey(organization),
            wrappingKey: { spec: wrapping.spec, envelope: wrapping.envelope },
            spec: specOf(organization, key, 1),
            publicKey: Buffer.from(body.public_key, 'hex'),
            wrapped: { enc: Buffer.from(body.enc, 'base64'), ciphertext: Buffer.from(body.ciphertext, 'base64') },
          })
          .catch(importRefusal)
        return {
          records: [creationRecord(key, made, body.wrapping_key_id)],
          change: { keys: 1, keyLimit: organization.plan.keys },
          claim,
          prepare: (client, records) =>
            insertKeys(client, organization, [{ key, made }], records, actor.actor, 'imported'),
          async write(client, records) {
            const { rowCount } = await client.query(
              'update wrapping_keys set used_at = $2 where id = $1 and used_at is null',
              [uuidText(id), records[0]?.at],
            )
            if (rowCount !== 1) throw usedAlready()
            return encodeTypeId('key', key.id)
          },
        }
      })
      const id =
        changed.kind === 'made'
          ? changed.value
          : (await replayedLeaf(services, caller.credential.organization, changed.index, 'key.imported')).key
      const row = await findKey(pool, caller.credential, id)
      return new Answer(viewKey(row), { headers: { etag: tagOf(row) } })
    },

    async 'keys.export'(context, { params, body }) {
      const { caller } = context
      await keeper.prove(caller.credential.organization)
      const recipient = Buffer.from(body.recipient_public_key, 'hex')
      const recipientHash = hash('sha256', recipient, 'hex')
      const changed = await changes.run(actorOf(caller), async () => {
        const key = await findKey(pool, caller.credential, params.id)
        const version = versionToExport(key, body.key_version)
        if (key.export === 'none')
          throw new RequestFault('key.not_exportable', 'The key was created with exportable false.')
        if (key.export !== 'any' && key.export !== recipientHash)
          throw new RequestFault('export.recipient_not_allowed', 'The key is bound to another recipient.')
        return {
          records: [{ fields: { event: 'key.exported', key: params.id, version, recipient: recipientHash } }],
          change: {},
          claim: requestClaim(context, params.id, body),
          write: async (_client, records) => ({ version, record: (records[0] as (typeof records)[number]).text }),
        }
      })
      const done = changed.kind === 'made' ? changed.value : await repeated(changed.index)
      return exported(params.id, done.version, done.record)

      async function repeated(index: number): Promise<{ version: number; record: string }> {
        const leaf = await replayedLeaf(services, caller.credential.organization, index, 'key.exported')
        return { version: leaf.version, record: leaf.id }
      }

      /** The record is durable: now, and not before, the signer is asked. */
      async function exported(id: string, version: number, record: string) {
        const credential = (await caller.renew()).credential
        const key = await findKey(pool, credential, id)
        versionToExport(key, version)
        const {
          rows: [part],
        } = await pool.query<{ spec: Buffer; envelope: Buffer; sealed_by: string }>(
          'select spec, envelope, sealed_by from key_parts where key_id = $1 and version = $2',
          [key.id, version],
        )
        const sealedBy = part && credential.organization.organizationKeys.get(part.sealed_by)
        if (!part || !sealedBy)
          throw new RequestFault('key.state_forbids', `Version ${version} of the key has no material.`)
        const sealed = await signer
          .export(sealedBy, { spec: part.spec, envelope: part.envelope }, recipient)
          .catch(exportRefusal)
        return {
          enc: Buffer.from(sealed.enc).toString('base64'),
          ciphertext: Buffer.from(sealed.ciphertext).toString('base64'),
          public_key: Buffer.from(sealed.publicKey).toString('hex'),
          key_version: version,
          key_id: id,
          instance,
          organization: credential.organization.text,
          algorithm: key.algorithm,
          schemes: key.schemes,
          uses: key.uses,
          export: key.export,
          record_id: record,
        }
      }
    },
  }
}

/** Throws `request.invalid` unless public key and ciphertext have the lengths of the algorithm's. */
function judgeLengths(body: Input<'keys.import'>['body']): void {
  const { publicKeyLength, secretLength } = factsOf(body.algorithm)
  const wrong = (field: string, message: string): RequestFault =>
    new RequestFault('request.invalid', 'One field is not accepted.', { errors: [{ field, message }] })
  if (body.public_key.length !== 2 * publicKeyLength)
    throw wrong('public_key', `must be ${publicKeyLength} bytes of lower-case hex for ${body.algorithm}`)
  if (Buffer.byteLength(body.ciphertext, 'base64') !== secretLength + 16)
    throw wrong('ciphertext', `must be ${secretLength + 16} bytes in base64 for ${body.algorithm}`)
}

function versionToExport(key: Awaited<ReturnType<typeof findKey>>, wanted: number | undefined): number {
  const number = wanted ?? key.primary_version
  const version = key.versions.find((v) => v.version === number)
  if (!version) throw new RequestFault('key.version_not_found', `The key has versions 1 to ${key.versions.length}.`)
  if (version.state !== 'active' && version.state !== 'deactivated') {
    throw new RequestFault(
      'key.state_forbids',
      `Version ${number} of the key is ${version.state}; an active or deactivated one is exported.`,
    )
  }
  return number
}

function usedAlready(): RequestFault {
  return new RequestFault('wrapping_key.used', 'The wrapping key has been used.')
}

function importRefusal(error: unknown): never {
  if (error instanceof CustodyFault && error.code === 'custody.import_refused') {
    throw new RequestFault(
      'import.cannot_open',
      'The imported key cannot be opened, or is no private key of public_key.',
    )
  }
  throw error
}

function exportRefusal(error: unknown): never {
  if (error instanceof CustodyFault && error.code === 'custody.export_refused')
    throw new RequestFault('key.not_exportable', 'The signer refused to export the key.')
  if (
    error instanceof CustodyFault &&
    (error.code === 'custody.request_refused' || error.code === 'custody.spec_refused')
  ) {
    throw new RequestFault('export.recipient_invalid', 'recipient_public_key is not a point of P-256.')
  }
  throw error
}
