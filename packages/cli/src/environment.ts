import { misuse } from './failure.ts'

/** The process environment, or a part of it in a test. */
export type Environment = Readonly<Record<string, string | undefined>>

/** Every variable of the command, with the sentence that `popsigner help environment` prints. */
export const clientVariables = {
  POPSIGNER_API_KEY: 'The API key (psk_live_…). Outranks the profile; whoever reads it can do what its scopes allow.',
  POPSIGNER_URL: 'Address of the server. Default: that of the profile, else http://127.0.0.1:8080.',
  POPSIGNER_PROFILE:
    'Name of the profile to use, as saved by popsigner login. Default: that of popsigner switch, else default.',
  POPSIGNER_NAMESPACE: 'The namespace where a command takes one and --namespace is not given.',
  POPSIGNER_CONFIG_DIR:
    'Where profiles and pinned keys lie. Default: $XDG_CONFIG_HOME/popsigner, else ~/.config/popsigner.',
  POPSIGNER_NO_PROMPT: 'If 1: never ask; what would need an answer is refused unless --yes or --confirm is given.',
  POPSIGNER_DEBUG: 'If api: one line on standard error for each request, without its credentials and bodies.',
} as const

/** Variables of init, serve and the host commands; the server's own documentation has the details. */
export const serverVariables = {
  POPSIGNER_DATA_DIR:
    'All state of an instance. Host commands find the running server through it. Default: ./.popsigner.',
  POPSIGNER_SEAL_KEY_FILE: 'The root key. Default: seal/root.key in the data directory; better on another disk.',
  POPSIGNER_HOST: 'IP address to listen on. Default: 127.0.0.1. Others need TLS.',
  POPSIGNER_PORT: 'Port to listen on; 0 takes a free one. Default: 8080.',
  POPSIGNER_TLS_CERT_FILE: 'Certificate chain (PEM) for TLS 1.3.',
  POPSIGNER_TLS_KEY_FILE: 'Private key (PEM) for TLS 1.3.',
  POPSIGNER_METRICS_HOST: 'IP address for /metrics, if not the API’s.',
  POPSIGNER_METRICS_PORT: 'Port for /metrics, if not the API’s.',
  POPSIGNER_LOG_LEVEL: 'debug, info, warn or error. Default: info.',
} as const

/** Variables that are not ours and are honoured. */
export const foreignVariables = {
  DATABASE_URL: 'serve: a PostgreSQL of your own instead of the one that comes along.',
  NO_COLOR: 'No colours. CLICOLOR_FORCE asks for them where the output is no terminal.',
  ACCESSIBLE: 'Plain questions and no line that redraws itself. So does TERM=dumb.',
  XDG_CONFIG_HOME: 'Where configuration lies, see POPSIGNER_CONFIG_DIR.',
} as const

/** Throws a usage failure for a `POPSIGNER_` variable nobody reads: a misspelt one would otherwise be without effect. */
export function checkEnvironment(environment: Environment): void {
  const known = Object.keys({ ...clientVariables, ...serverVariables })
  for (const name of Object.keys(environment)) {
    if (!name.startsWith('POPSIGNER_') || known.includes(name)) continue
    const close = known.find((one) => distance(one, name) <= 2)
    throw misuse(`${name} is not a setting of POPSigner`, close ? `Did you mean ${close}?` : 'Unset it.', [
      { command: `unset ${name}`, when: 'to go on without it' },
      { command: 'popsigner help environment', when: 'to see all settings' },
    ])
  }
  const debug = environment['POPSIGNER_DEBUG']
  if (debug !== undefined && debug !== '' && debug !== 'api')
    throw misuse(`POPSIGNER_DEBUG is ${JSON.stringify(debug)}`, 'Set it to api, or unset it.')
}

/** How many letters must be added, removed or exchanged to make one text of the other (Levenshtein). */
export function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const exchanged = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(exchanged, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}
