import { NetworkError, PopSignerError, TrustError } from '@popsigner/sdk/errors'
import { exitCodeOf, exitCodes } from './exit-codes.ts'
import { Failure, type FailureDetail, type NextStep } from './failure.ts'
import type { Settings } from './settings.ts'

// What helps, by problem code. No step is offered where the cause may be an attack.
const steps: Readonly<Record<string, readonly NextStep[]>> = {
  'auth.invalid': [
    { command: 'popsigner api-keys create me --org <organization>', when: 'on the host: to make another API key' },
  ],
  'auth.expired': [
    { command: 'popsigner api-keys create me --org <organization>', when: 'on the host: to make another API key' },
  ],
  'scope.missing': [{ command: 'popsigner api-keys list', when: 'to see which API key has the scope' }],
  'key.not_found': [{ command: 'popsigner keys list', when: 'to see the keys that this API key may use' }],
  'key.name_taken': [{ command: 'popsigner keys list', when: 'to see which names are taken' }],
  'key.changed': [{ command: 'popsigner keys get <key>', when: 'to see what changed; then repeat the change' }],
  'key.state_forbids': [{ command: 'popsigner keys get <key>', when: 'to see the state of each version' }],
  'key.version_not_found': [{ command: 'popsigner keys get <key>', when: 'to see its versions' }],
  'namespace.not_found': [{ command: 'popsigner namespaces list', when: 'to see the namespaces' }],
  'namespace.name_taken': [{ command: 'popsigner namespaces list', when: 'to see the one that has the name' }],
  'namespace.not_empty': [{ command: 'popsigner keys list --namespace <name>', when: 'to see what it holds' }],
  'api_key.not_found': [{ command: 'popsigner api-keys list', when: 'to see the API keys' }],
  'record.not_found': [{ command: 'popsigner audit list', when: 'to search the records' }],
  'instance.not_ready': [{ command: 'popsigner status', when: 'to see which part is not ready' }],
  'custody.unavailable': [{ command: 'popsigner status', when: 'to see whether the signer is back' }],
  'log.behind': [
    {
      command: 'popsigner recover accept-rollback <organization> --checkpoint <file>',
      when: 'on the host, only if the newer database is lost for good',
    },
  ],
}

/** A thrown error as the end of a command. Anything that nobody expected keeps its message and nothing of its stack. */
export function failureOf(error: unknown, settings: Settings | null): Failure {
  if (error instanceof Failure) return error
  if (error instanceof PopSignerError) return refused(error, settings)
  if (error instanceof TrustError) return distrusted(error)
  if (error instanceof NetworkError) return unreachable(error, settings)
  const system = error as NodeJS.ErrnoException
  if (error instanceof Error && system.name === 'Refusal') {
    return new Failure(error.message.replace(/\.$/, ''), { exit: exitCodes.failed, code: 'instance.refused' }, error)
  }
  const what = error instanceof Error ? error.message : 'the command failed'
  return new Failure(
    what,
    { exit: exitCodes.failed, code: 'cli.failed', ...(system?.code && { why: `The system says ${system.code}.` }) },
    error,
  )
}

function refused(error: PopSignerError, settings: Settings | null): Failure {
  const { code, title, detail, status, requestId, errors, retryAfterSeconds } = error
  const fields = errors.map(({ field, message }) => `${field} ${message}`).join('; ')
  const credential =
    /^(auth|scope)\./.test(code) && settings?.apiKey ? ` The API key is from ${settings.apiKey.from}.` : ''
  const pause = retryAfterSeconds === null ? '' : ` Try again in ${retryAfterSeconds} s.`
  const why = `${fields === '' ? detail : `${fields}.`}${credential}${pause}`.trim()
  return new Failure(
    title.replace(/\.$/, ''),
    {
      exit: exitCodeOf(code, status),
      code,
      ...(why !== '' && { why }),
      next: steps[code] ?? [],
      ...(settings && { docs: `${settings.url.value}/docs/errors#${code}` }),
      ...(requestId !== null && { request: requestId }),
      problem: {
        type: `/docs/errors#${code}`,
        title,
        status,
        detail,
        code,
        ...(requestId !== null && { request_id: requestId }),
        ...(errors.length > 0 && { errors }),
      },
    },
    error,
  )
}

function distrusted(error: TrustError): Failure {
  const facts = Object.entries(error.detail).map(([name, value]) => `${name.replaceAll('_', ' ')}: ${value}`)
  const detail: FailureDetail = {
    exit: exitCodes.notValid,
    code: error.code,
    why: facts.length === 0 ? error.code : facts.join('\n        '),
    advice:
      'none offered: this is what an attack looks like. Keep the output, and ask whoever runs the instance by another channel.',
    problem: { code: error.code, title: error.message.replace(`${error.code}: `, ''), detail: error.detail },
  }
  return new Failure(error.message.replace(`${error.code}: `, ''), detail, error)
}

function unreachable(error: NetworkError, settings: Settings | null): Failure {
  const cause = error.cause instanceof Error ? error.cause : null
  const inner = cause?.cause instanceof Error ? (cause.cause as NodeJS.ErrnoException).code : undefined
  const where = settings ? `${settings.url.value} (${settings.url.from})` : 'the server'
  const why = `${error.message.replace(`${error.code}: `, '')}${inner ? ` (${inner})` : ''}. The address is ${where}.`
  return new Failure(
    'the server is not reached',
    {
      exit: exitCodes.tryLater,
      code: error.code,
      why,
      next: [
        { command: 'npm start', when: 'in the clone: to start a server here' },
        { command: 'export POPSIGNER_URL=<address>', when: 'if the server is elsewhere' },
      ],
    },
    error,
  )
}
