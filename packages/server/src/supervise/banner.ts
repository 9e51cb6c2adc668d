import { join, relative } from 'node:path'
import type { Config } from './config.ts'
import type { Instance } from './data-directory.ts'
import type { FirstOrganization } from './welcome.ts'

/**
 * What a person reads when everything runs. `first` is what the first start made; later starts print no key, and name the
 * command that makes one for one of the `organizations`.
 */
export function banner(
  config: Config,
  instance: Instance,
  url: string,
  directory: string,
  first: FirstOrganization | null,
  organizations: readonly string[],
): string {
  const lines = [
    '',
    `POPSigner ${instance.name} listens on ${url}`,
    '',
    `  data      ${shortest(directory, config.dataDirectory)}`,
  ]
  if (instance.furtherDirectory !== null)
    lines.push(
      `  database  ${instance.furtherDirectory} (PostgreSQL runs as nobody, which cannot enter the data directory)`,
    )
  lines.push(`  key file  ${shortest(directory, config.sealKeyFile)}`)
  const usual = config.dataDirectory === join(directory, '.popsigner')
  const elsewhere = usual ? [] : [`  export POPSIGNER_DATA_DIR=${quote(config.dataDirectory)}`]
  if (first === null) {
    const name = organizations.includes('default') ? 'default' : organizations[0]
    if (name === undefined)
      lines.push('', 'It has no organization yet:', '', ...elsewhere, '  npx popsigner orgs create <name>', '')
    else
      lines.push('', 'Another API key:', '', ...elsewhere, `  npx popsigner api-keys create --org ${name} another`, '')
    return lines.join('\n')
  }
  lines.push(
    '            Without this file every key is lost. Copy it now, to another disk than the data.',
    '',
    `  API key   ${first.token}`,
    `            Organization ${first.name}, every scope. It is shown this once.`,
    '',
    'In a second terminal, in this directory:',
    '',
    ...elsewhere,
    '  npx popsigner keys create demo --namespace production',
    '  npx popsigner sign demo --data hello --receipt receipt.json',
    '  npx popsigner audit verify receipt.json',
    '',
  )
  return lines.join('\n')
}

function quote(path: string): string {
  return /^[\w./-]+$/.test(path) ? path : `'${path.replaceAll("'", "'\\''")}'`
}

function shortest(directory: string, path: string): string {
  const inside = relative(directory, path)
  return inside === '' || inside.startsWith('..') ? path : inside
}
