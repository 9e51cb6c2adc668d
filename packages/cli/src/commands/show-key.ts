import type { Key } from '@popsigner/sdk'
import type { Session } from '../session.ts'

/** The lines that say whom an act concerns. Asking for the organization may fail for want of a scope; then it is left out. */
export async function whereOf(session: Session, namespace: string | null): Promise<readonly string[]> {
  const organization = await session
    .client()
    .signer()
    .then(
      (signer) => signer.organization,
      () => null,
    )
  return [
    ...(organization === null ? [] : [`organization  ${organization}`]),
    ...(namespace === null ? [] : [`namespace     ${namespace}`]),
    `server        ${session.settings().url.value}`,
  ]
}

/** Prints one key: as the API has it, or as lines. */
export function showKey(session: Session, key: Key): void {
  const { output } = session
  if (output.json) {
    output.object(key)
    return
  }
  output.fields([
    ['id', key.id],
    ['name', `${key.namespace}/${key.name}`],
    ['algorithm', key.algorithm],
    ['state', key.destroy_at === null ? key.state : `${key.state}, destroyed at ${key.destroy_at}`],
    ['version', key.version],
    ['public key', key.public_key],
    ...(key.public_key_g1 === null ? [] : ([['public key g1', key.public_key_g1]] as const)),
    ...(key.public_key_g2 === null ? [] : ([['public key g2', key.public_key_g2]] as const)),
    ...(key.address === null ? [] : ([['address', key.address]] as const)),
    ...(key.eth_address === null ? [] : ([['eth address', key.eth_address]] as const)),
    ['schemes', key.schemes.join(' ')],
    ['uses', key.uses.join(' ')],
    ['export', key.export],
    ...(key.rotate_every_days === null ? [] : ([['rotated every', `${key.rotate_every_days} days`]] as const)),
    ...Object.entries(key.metadata).map(([name, value]) => [`metadata.${name}`, value] as const),
    ['created', key.created_at],
  ])
  if (key.versions.length < 2) return
  for (const version of key.versions)
    output.line(`  version ${version.version}  ${version.state}  ${version.public_key}`)
}

/** Prints several keys: one array, or a table. */
export function showKeys({ output }: Session, keys: readonly Key[]): void {
  if (output.json) {
    output.object(keys)
    return
  }
  output.table(
    ['ID', 'NAME', 'ALGORITHM', 'STATE', 'VERSION', 'ADDRESS'],
    keys.map((key) => [
      key.id,
      `${key.namespace}/${key.name}`,
      key.algorithm,
      key.state,
      key.version,
      key.address ?? key.public_key,
    ]),
  )
}
