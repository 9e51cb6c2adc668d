import { isProblemCode } from '@popsigner/api/problems'
import { ChainFault } from '@popsigner/chains/fault'
import { CustodyFault } from '@popsigner/custody/faults'
import { CredentialFault } from '../tenants/credential.ts'
import { RequestFault } from './request-fault.ts'

/**
 * The refusal that an answer makes of an error, whatever layer it comes from. An error that nobody meant for the caller
 * becomes `internal.error` without a word of it.
 */
export function faultOf(error: unknown): RequestFault {
  if (error instanceof RequestFault) return error
  if (error instanceof CredentialFault) return new RequestFault(error.code, credentialTexts[error.code])
  if (error instanceof CustodyFault) return custody(error)
  if (error instanceof ChainFault) return chain(error)
  const code = (error as { code?: unknown } | null)?.code
  if (typeof code === 'string') {
    const framework = frameworkFaults[code]
    if (framework) return framework()
    if (code === '55P03' || code === '40P01')
      return new RequestFault('organization.busy', 'The organization is held by another change.', {
        retryAfterSeconds: 1,
      })
    if (isConnectionLoss(code)) return databaseUnavailable()
    if (isProblemCode(code)) return new RequestFault(code, 'The request was refused.')
  }
  if (
    error instanceof Error &&
    /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error)/.test(
      error.message,
    )
  ) {
    return databaseUnavailable()
  }
  return new RequestFault(
    'internal.error',
    'Something failed here. The request id finds it in the log of the server.',
    {},
    { cause: error },
  )
}

const credentialTexts = {
  'auth.missing': 'Send Authorization: Bearer psk_live_….',
  'auth.invalid': 'The API key is not valid.',
  'auth.expired': 'The API key has expired.',
} as const

const frameworkFaults: Readonly<Record<string, () => RequestFault>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: () => new RequestFault('request.too_large', 'The body is larger than this route takes.'),
  FST_ERR_CTP_INVALID_MEDIA_TYPE: () =>
    new RequestFault('request.unsupported_media_type', 'The body must be application/json.'),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: () =>
    new RequestFault('request.malformed', 'Content-Length is not the length of the body.'),
  FST_ERR_BAD_URL: () => new RequestFault('request.malformed', 'The path cannot be decoded.'),
  FST_ERR_MAX_PARAM_LENGTH: () => new RequestFault('route.not_found', 'No route has this path.'),
}

function custody(fault: CustodyFault): RequestFault {
  switch (fault.code) {
    case 'custody.unavailable':
    case 'custody.handshake_failed':
    case 'custody.term_behind':
    // The connection is new, and the log was not proven on it yet.
    case 'log.unproven':
      return new RequestFault('custody.unavailable', 'The signer did not answer.', { retryAfterSeconds: 1 })
    case 'log.behind':
      return new RequestFault('log.behind', 'The log does not extend what the signer has seen.', {
        retryAfterSeconds: 5,
      })
    case 'custody.entropy_failed':
      return new RequestFault('custody.entropy_failed', 'The entropy source of the signer failed its health tests.')
    case 'custody.key_destroyed':
      return new RequestFault('key.not_found', 'No key has this id.')
    default:
      return new RequestFault('custody.refused', `The signer refused: ${fault.code}.`)
  }
}

/** What a codec refuses is the caller's, and its detail is safe to show. */
function chain(fault: ChainFault): RequestFault {
  const { detail } = fault
  if ('reason' in detail)
    return new RequestFault(fault.code, `${detail.field}: ${detail.reason}.`, {
      errors: [{ field: detail.field, message: detail.reason }],
    })
  if ('limit' in detail)
    return new RequestFault(fault.code, `${detail.field}: at most ${detail.limit} are taken.`, {
      errors: [{ field: detail.field, message: `must be at most ${detail.limit}` }],
    })
  if ('convention' in detail)
    return new RequestFault(
      fault.code,
      `The convention ${detail.convention} is not known; known are ${detail.known.join(', ')}.`,
    )
  if ('chain' in detail) return new RequestFault(fault.code, `No codec knows the network ${detail.chain}.`)
  if ('signer' in detail) {
    if (!('expected' in detail))
      return new RequestFault(fault.code, `The transaction has the signature of ${detail.signer}.`)
    return new RequestFault(fault.code, `${detail.signer} is not the signer; it is ${detail.expected.join(' or ')}.`)
  }
  if ('field' in detail)
    return new RequestFault(fault.code, `${detail.field}: expected ${detail.expected}, found ${detail.found}.`)
  return new RequestFault(fault.code, `The transaction is for ${detail.found} and not for ${detail.expected}.`)
}

/** Whether a SQLSTATE or system code means that the database is out of reach: it said nothing about the request. */
export function isConnectionLoss(code: string): boolean {
  return (
    code.startsWith('08') ||
    code.startsWith('57P') ||
    code === '53300' ||
    code === 'ECONNREFUSED' ||
    code === 'ECONNRESET' ||
    code === 'ENOENT' ||
    code === 'EPIPE'
  )
}

function databaseUnavailable(): RequestFault {
  return new RequestFault('database.unavailable', 'The database did not answer.', { retryAfterSeconds: 1 })
}
