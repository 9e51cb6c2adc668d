import { encodeTypeId, uuidBytes } from '@popsigner/crypto/typeid'
import type { CreatedKey } from '@popsigner/custody/custodian'
import type { Actor, Change } from '../changes.ts'
import { actorOf, currentKey, replayedLeaf, requestClaim, type Services } from '../handlers/services.ts'
import type { RequestContext } from '../http/access.ts'
import { RequestFault } from '../http/request-fault.ts'
import { newUuid } from '../ids.ts'
import type { Claim } from '../signing/signing.ts'
import { accountsOf, specOf, writeHistory } from './create.ts'
import { findKey, type KeyRow } from './view.ts'

/** Makes a new primary version of a key for the caller; answers the number of the one before it. */
export async function rotateKey(
  services: Services,
  context: RequestContext,
  id: string,
  keepActive: boolean,
): Promise<{ previous: number }> {
  const { pool, changes, keeper } = services
  const { credential } = context.caller
  await keeper.prove(credential.organization)
  const changed = await changes.run(actorOf(context.caller), async (actor) => {
    const key = await findKey(pool, credential, id)
    return rotation(services, actor, key, keepActive, requestClaim(context, id, { keep_active: keepActive }))
  })
  if (changed.kind === 'made') return changed.value
  const leaf = await replayedLeaf(services, credential.organization, changed.index, 'key.rotated')
  return { previous: leaf.previous }
}

/** The change that rotates a key. The new version is made first; what the transaction does not store never existed. */
export async function rotation(
  services: Services,
  actor: Actor,
  key: KeyRow,
  keepActive: boolean,
  claim: Claim | null,
): Promise<Change<{ previous: number }>> {
  const previous = key.primary_version
  const state = key.versions.find((version) => version.version === previous)?.state
  if (state !== 'active' || key.destroy_at) {
    throw new RequestFault(
      'key.state_forbids',
      key.destroy_at ? 'The deletion of the key is scheduled.' : `The key is ${state}; only an active one is rotated.`,
    )
  }
  const version = Math.max(...key.versions.map((v) => v.version)) + 1
  const terms = { algorithm: key.algorithm, export: key.export, schemes: key.schemes, uses: key.uses }
  const made: CreatedKey = await services.signer.create(
    newUuid(),
    currentKey(actor.organization),
    specOf(actor.organization, { id: uuidBytes(key.id), terms }, version),
  )
  return {
    records: [
      {
        fields: {
          event: 'key.rotated',
          key: encodeTypeId('key', uuidBytes(key.id)),
          version,
          public_key: Buffer.from(made.publicKey).toString('hex'),
          previous,
          kept_active: keepActive,
        },
      },
    ],
    change: { bump: true },
    claim,
    async write(client, records) {
      const at = records[0]?.at
      const { rowCount } = await client.query(
        `update keys set primary_version = $3, rotate_at = $4::timestamptz + make_interval(days => rotate_every_days), updated_at = $4, revision = revision + 1 where id = $1 and revision = $2`,
        [key.id, key.revision, version, at],
      )
      if (rowCount !== 1)
        throw new RequestFault(
          'organization.busy',
          'The key was changed while this request was under way; try again.',
          { retryAfterSeconds: 1 },
        )
      const accounts = accountsOf(key.algorithm, made.publicKey)
      await client.query(
        `insert into key_versions (key_id, version, public_key, cosmos_account, ethereum_account, state, created_at) values ($1, $2, $3, $4, $5, 'active', $6)`,
        [key.id, version, Buffer.from(made.publicKey), accounts.cosmos, accounts.ethereum, at],
      )
      await client.query(
        `insert into key_parts (key_id, version, custodian, spec, envelope, sealed_by) values ($1, $2, 'signer', $3, $4, $5)`,
        [
          key.id,
          version,
          Buffer.from(made.material.spec),
          Buffer.from(made.material.envelope),
          actor.organization.currentOrganizationKey,
        ],
      )
      if (!keepActive)
        await client.query(`update key_versions set state = 'deactivated' where key_id = $1 and version = $2`, [
          key.id,
          previous,
        ])
      await writeHistory(
        client,
        [{ key: key.id, record: records[0] as (typeof records)[number] }],
        'key.rotated',
        actor.actor,
      )
      return { previous }
    },
  }
}
