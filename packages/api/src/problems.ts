import { z } from 'zod'
import { requestId } from './schemas/fields.ts'

/** What one problem code means, for the answer (`status`, `title`) and for the person who meets it (`cause`, `fix`). */
export interface Problem {
  readonly status: 400 | 401 | 403 | 404 | 405 | 406 | 409 | 410 | 412 | 413 | 415 | 422 | 428 | 429 | 500 | 503
  /** A constant sentence, the same for every occurrence. */
  readonly title: string
  /** Whether the same request, unchanged, may succeed later. Clients retry only these. */
  readonly retry: boolean
  /** A `detail` as one occurrence may word it. */
  readonly example: string
  readonly cause: string
  readonly fix: string
}

/**
 * Every refusal of the API. Codes are append-only: a code that was released keeps its name, its status and its meaning.
 * 404 is also the answer for what belongs to another organization, so no code tells the two apart.
 */
export const problems = {
  'request.malformed': {
    status: 400,
    title: 'The request is not well-formed.',
    retry: false,
    example: 'The body is not JSON: a field stands twice in one object.',
    cause:
      'The body is not JSON in UTF-8, names a field twice in one object, or nests too deeply; or the path or a header cannot be read.',
    fix: 'Send one JSON object in UTF-8 with Content-Type: application/json.',
  },
  'request.invalid': {
    status: 400,
    title: 'The request has fields that are not accepted.',
    retry: false,
    example: 'One field is not accepted.',
    cause:
      'A field is missing, unknown, of the wrong type or outside its limits. Unknown fields are refused, never ignored.',
    fix: 'Each entry of errors[] names one field and what it must be.',
  },
  'request.too_large': {
    status: 413,
    title: 'The request is too large.',
    retry: false,
    example: 'The body is larger than the 262144 bytes that this route takes.',
    cause:
      'The body is larger than the route takes (x-max-body-bytes in the OpenAPI document), or the data of a signature is over 1 MiB decoded.',
    fix: 'Send fewer items at once, or hash the data yourself and send the digest with prehashed where the algorithm takes one.',
  },
  'request.unsupported_media_type': {
    status: 415,
    title: 'The body has a media type that is not accepted.',
    retry: false,
    example: 'The body must be application/json.',
    cause: 'Content-Type is missing or is not application/json, or a Content-Encoding was used.',
    fix: 'Send Content-Type: application/json and the body without compression.',
  },
  'request.not_acceptable': {
    status: 406,
    title: 'The answer does not exist in the media type that was asked for.',
    retry: false,
    example: 'This route answers application/json and text/plain.',
    cause: 'Accept names only media types that the route does not answer.',
    fix: 'Leave Accept out, or name one that the route lists.',
  },
  'request.in_progress': {
    status: 409,
    title: 'A request with this Idempotency-Key is still in progress.',
    retry: true,
    example: 'A request with this Idempotency-Key has not ended yet.',
    cause:
      'The same API key sent the same Idempotency-Key to this route, and the first request has not been answered yet.',
    fix: 'Wait for the seconds in Retry-After and send the same request again.',
  },
  'request.if_match_required': {
    status: 428,
    title: 'This change needs an If-Match header.',
    retry: false,
    example: 'Send the ETag of the key as If-Match.',
    cause: 'A change without If-Match could undo what somebody else has just changed.',
    fix: 'Read the key, send its ETag as If-Match; If-Match: * changes it whatever it is now.',
  },
  'route.not_found': {
    status: 404,
    title: 'There is no such route.',
    retry: false,
    example: 'No route has this path.',
    cause: 'The path is not one of the API.',
    fix: 'Compare it with /openapi.json; paths begin with /v1 and have no slash at the end.',
  },
  'method.not_allowed': {
    status: 405,
    title: 'The route does not have this method.',
    retry: false,
    example: 'This path takes GET and POST.',
    cause: 'The path exists, the method does not.',
    fix: 'Use a method named in the Allow header of the answer.',
  },
  'idempotency.body_mismatch': {
    status: 422,
    title: 'The Idempotency-Key was used with another request.',
    retry: false,
    example: 'This Idempotency-Key was used in the last 24 hours with another body.',
    cause: 'Within 24 hours the same API key sent this Idempotency-Key to the same route with another body.',
    fix: 'Use a new Idempotency-Key for a new request, and the old one only to repeat the same body.',
  },

  'auth.missing': {
    status: 401,
    title: 'The request has no API key.',
    retry: false,
    example: 'Send Authorization: Bearer psk_live_….',
    cause: 'The Authorization header is missing or is not a bearer token.',
    fix: 'Send Authorization: Bearer psk_live_….',
  },
  'auth.invalid': {
    status: 401,
    title: 'The API key is not valid.',
    retry: false,
    example: 'The API key is not valid.',
    cause:
      'The token was mistyped or cut off, was never made by this instance, or has been revoked or rotated past its grace time.',
    fix: 'Use a valid API key. Whoever runs the instance can make one: popsigner api-keys create --org <organization>.',
  },
  'auth.expired': {
    status: 401,
    title: 'The API key has expired.',
    retry: false,
    example: 'The API key expired at 2026-11-20T14:02:11.482Z.',
    cause: 'The time in expires_at has passed.',
    fix: 'Create another API key; one that is about to expire can be rotated before that.',
  },
  'auth.too_many_failures': {
    status: 429,
    title: 'Too many failed authentications from this address.',
    retry: true,
    example: 'More than 10 failed authentications came from this address within a second.',
    cause: 'More than 10 requests a second with a wrong API key came from this network address.',
    fix: 'Wait for the seconds in Retry-After and correct the API key.',
  },
  'scope.missing': {
    status: 403,
    title: 'The API key lacks the scope for this.',
    retry: false,
    example: 'This needs the scope api:keys:sign.',
    cause:
      'The API key does not have the scope that the route needs; making a suspended key active also needs api:access:write.',
    fix: 'Use an API key that has the scope named in detail.',
  },
  'scope.exceeds_caller': {
    status: 403,
    title: 'The API key would be allowed more than the one that makes it.',
    retry: false,
    example: 'The caller does not have the scope api:keys:export.',
    cause: 'An API key can create or rotate only API keys whose scopes, namespaces and expiry lie within its own.',
    fix: 'Ask for less, or let an API key that has it make this one.',
  },

  'key.not_found': {
    status: 404,
    title: 'There is no such key.',
    retry: false,
    example: 'No key has this id.',
    cause:
      'The id is unknown or malformed, belongs to another organization, or lies in a namespace that the API key may not use.',
    fix: 'List the keys that this API key can see: GET /v1/keys.',
  },
  'key.name_taken': {
    status: 409,
    title: 'A key of this name exists in the namespace.',
    retry: false,
    example: 'The namespace production has a key named sequencer.',
    cause: 'Names are unique within a namespace.',
    fix: 'Choose another name, or use the key that has it.',
  },
  'key.state_forbids': {
    status: 409,
    title: 'The state of the key does not allow this.',
    retry: false,
    example: 'The key version is suspended; it can verify.',
    cause: 'The key version is not in a state that can do what was asked, or the change of state would go backwards.',
    fix: 'Read state of the key and of its versions. A suspended key can be made active again; the other states are left only forwards.',
  },
  'key.version_not_found': {
    status: 404,
    title: 'The key has no such version.',
    retry: false,
    example: 'The key has versions 1 to 2.',
    cause: 'key_version names a version that the key never had.',
    fix: 'Take one from versions of the key, or leave key_version out for the primary one.',
  },
  'key.not_exportable': {
    status: 403,
    title: 'The key is not exportable.',
    retry: false,
    example: 'The key was created with exportable false.',
    cause: 'The key was created with exportable false. That is sealed into its envelope and the signer enforces it.',
    fix: 'It cannot be changed. Create an exportable key and move to it.',
  },
  'key.use_not_allowed': {
    status: 403,
    title: 'The key may not be used for this.',
    retry: false,
    example: 'The uses of the key do not include digest.',
    cause: 'uses of the key does not include what was asked: raw for data, digest for prehashed input.',
    fix: 'Use a key whose uses include it; uses can be narrowed but never widened.',
  },
  'key.scheme_not_allowed': {
    status: 403,
    title: 'The key may not sign by this scheme.',
    retry: false,
    example: 'The schemes of the key do not include pure.',
    cause: 'scheme names one that the algorithm does not have, or that the key was not created with.',
    fix: 'Leave scheme out, or name one of the schemes of the key; they can be narrowed but never widened.',
  },
  'key.widening_refused': {
    status: 409,
    title: 'Uses and schemes can only be narrowed.',
    retry: false,
    example: 'The key does not have the use digest.',
    cause: 'The change adds a use or a scheme that the key does not have.',
    fix: 'Name only uses and schemes that the key has now.',
  },
  'key.changed': {
    status: 412,
    title: 'The key was changed since it was read.',
    retry: false,
    example: 'The ETag of the key is no longer the one in If-Match.',
    cause: 'Somebody changed the key after the ETag in If-Match was read.',
    fix: 'Read the key again, look at what changed, and repeat the change with the new ETag.',
  },
  'key.deletion_not_scheduled': {
    status: 409,
    title: 'No deletion of this key is scheduled.',
    retry: false,
    example: 'The key has no destroy_at.',
    cause: 'The key is not waiting to be destroyed.',
    fix: 'Nothing to undo; read the key to see its state.',
  },
  'waiting_days.not_allowed': {
    status: 403,
    title: 'The plan does not allow this waiting period.',
    retry: false,
    example: 'The plan pro needs a waiting period of at least 1 day.',
    cause: 'A waiting period of 0 days is allowed on the plan self_hosted only.',
    fix: 'Give a waiting period of 1 to 30 days.',
  },

  'sign.hash_not_allowed': {
    status: 400,
    title: 'The algorithm of the key does not take this hash or a digest.',
    retry: false,
    example: 'ed25519 takes neither hash nor prehashed.',
    cause:
      'hash names a function that the scheme does not use, or prehashed was set for a scheme whose library hashes by itself.',
    fix: 'Name a hash that the scheme takes, or none; GET /v1/signer lists them by algorithm and scheme.',
  },
  'sign.digest_length': {
    status: 400,
    title: 'The digest has the wrong length.',
    retry: false,
    example: 'data is 31 bytes long and a sha256 digest has 32.',
    cause: 'prehashed is true and data, decoded, is not as long as a digest.',
    fix: 'Send the 32 bytes of the digest; a digest written in hex needs encoding: hex.',
  },
  'sign.data_invalid': {
    status: 400,
    title: 'The data cannot be decoded.',
    retry: false,
    example: 'data is not base64 with padding.',
    cause: 'data is not what encoding says, or is larger than 1 MiB once decoded.',
    fix: 'Send canonical base64 with padding, hex of whole bytes, or text with encoding: utf8.',
  },

  'chain.unsupported': {
    status: 400,
    title: 'The network is not known here.',
    retry: false,
    example: 'No codec knows the network solana:5eykt4UsFv8P8NJdTREpY1vzqKqZKvdp.',
    cause: 'chain is no CAIP-2 id of a chain that this release reads.',
    fix: 'Give an id such as eip155:1. Whatever is not read here can be signed as raw data or a digest.',
  },
  'transaction.malformed': {
    status: 400,
    title: 'The transaction is not well-formed.',
    retry: false,
    example: 'transaction.nonce: the number has a leading zero.',
    cause:
      'The bytes are cut short, have something behind them, or are not the one way to write what they say; or a field of the JSON is missing or is not what it must be.',
    fix: 'errors[] names the field. Send what the client library serializes, unchanged.',
  },
  'transaction.unsupported': {
    status: 400,
    title: 'The transaction has something that is not understood.',
    retry: false,
    example: 'transaction.type: type 5 is not known; known are the legacy form and types 1 to 4.',
    cause:
      'It has a type, a version or a field that this release does not know, or has no chain id. It is refused rather than signed without being understood.',
    fix: 'errors[] names the field. Leave it out, or use a type that is known.',
  },
  'transaction.too_large': {
    status: 413,
    title: 'The transaction or message is too large.',
    retry: false,
    example: 'transaction: at most 131072 are taken.',
    cause: 'It has more bytes, or more entries in a list, than nodes relay or this release takes.',
    fix: 'errors[] names what is too large. Split it.',
  },
  'transaction.chain_mismatch': {
    status: 422,
    title: 'The transaction is for another network.',
    retry: false,
    example: 'The transaction is for eip155:1 and not for eip155:10.',
    cause: 'The network in the transaction is not the one in chain.',
    fix: 'Build the transaction for the network that is meant, and name that.',
  },
  'transaction.signer_mismatch': {
    status: 422,
    title: 'The key does not sign this transaction.',
    retry: false,
    example:
      '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf is not the signer; it is 0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF.',
    cause:
      'The transaction names another signer, carries the signature of another, or the chain takes no keys of this algorithm.',
    fix: 'Use the key whose address the transaction names.',
  },
  'transaction.already_signed': {
    status: 409,
    title: 'The transaction is signed by this key already.',
    retry: false,
    example: 'The transaction has the signature of 0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf.',
    cause: 'It carries the signature that was asked for.',
    fix: 'Broadcast it as it is, or send it unsigned.',
  },
  'context.malformed': {
    status: 400,
    title: 'What was given beside the transaction is not accepted.',
    retry: false,
    example: 'context.abi[0].name: not the name of a function.',
    cause: 'context has an entry that the chain does not take, or that is not what it must be.',
    fix: 'errors[] names the field.',
  },
  'message.unsupported': {
    status: 400,
    title: 'The chain has no such convention for messages.',
    retry: false,
    example: 'The convention adr036 is not known; known are eip191, eip712, eip7702.',
    cause: 'convention names no way of signing messages on this chain.',
    fix: 'Use one of the conventions that the detail names.',
  },
  'message.malformed': {
    status: 400,
    title: 'The message is not what its convention takes.',
    retry: false,
    example: 'message.domain.chainId: expected a whole number of uint256.',
    cause: 'A field is missing, unknown, of another type or out of range.',
    fix: 'errors[] names the field.',
  },
  'message.mismatch': {
    status: 422,
    title: 'The message is for another network or signer.',
    retry: false,
    example: 'message.domain.chainId: expected 1, found 10.',
    cause: 'What the message names is not what the request names.',
    fix: 'Name the network that the message is for, or build the message for this one.',
  },

  'import.cannot_open': {
    status: 422,
    title: 'The imported key cannot be opened.',
    retry: false,
    example: 'The imported key cannot be opened.',
    cause:
      'It was sealed to another wrapping key, or for another specification than the one in the request, or was altered; or what is inside is no private key of public_key: zero, or not below the group order. Which of these is not told.',
    fix: 'Seal it again; algorithm, schemes, uses, export and public key must be those of the request.',
  },
  'wrapping_key.not_found': {
    status: 404,
    title: 'There is no such wrapping key.',
    retry: false,
    example: 'No wrapping key has this id.',
    cause: 'The id is unknown or belongs to another organization.',
    fix: 'Ask for one: POST /v1/keys/import/wrapping-key.',
  },
  'wrapping_key.expired': {
    status: 410,
    title: 'The wrapping key has expired.',
    retry: false,
    example: 'The wrapping key expired at 2026-11-20T15:02:11.482Z.',
    cause: 'A wrapping key is good for one hour.',
    fix: 'Ask for another and seal the key to it.',
  },
  'wrapping_key.used': {
    status: 409,
    title: 'The wrapping key has been used.',
    retry: false,
    example: 'The wrapping key has been used.',
    cause: 'A wrapping key is good for one import.',
    fix: 'Ask for another and seal the key to it.',
  },
  'export.recipient_not_allowed': {
    status: 403,
    title: 'The key may not be exported to this recipient.',
    retry: false,
    example: 'The key is bound to another recipient.',
    cause: 'The key was created for one recipient, and SHA-256 of recipient_public_key is not the one in its export.',
    fix: 'Give the public key that the key is bound to; the binding cannot be changed.',
  },
  'export.recipient_invalid': {
    status: 400,
    title: 'The recipient’s public key is not a point of P-256.',
    retry: false,
    example: 'recipient_public_key is not on the curve.',
    cause: 'recipient_public_key has the right length and is not on the curve.',
    fix: 'Send 65 bytes of hex: 04, then both coordinates.',
  },

  'organization.not_found': {
    status: 404,
    title: 'There is no such organization.',
    retry: false,
    example: 'No organization has this id or name.',
    cause: 'A command of the host named an organization that this instance does not have.',
    fix: 'List them: popsigner orgs list.',
  },
  'organization.name_taken': {
    status: 409,
    title: 'An organization of this name exists.',
    retry: false,
    example: 'An organization is named default.',
    cause: 'Names of organizations are unique within an instance.',
    fix: 'Choose another name, or use the organization that has it.',
  },
  'host.refused': {
    status: 403,
    title: 'The signer did not accept this as the host’s act.',
    retry: false,
    example: 'The MAC was not made with the host key.',
    cause: 'The host key file is not the one of this instance, or the nonce was used or has expired.',
    fix: 'Run the command again as the user who runs the instance, with POPSIGNER_DATA_DIR set to its data directory.',
  },

  'namespace.not_found': {
    status: 404,
    title: 'There is no such namespace.',
    retry: false,
    example: 'No namespace is named production.',
    cause: 'The namespace is unknown, belongs to another organization, or is one that the API key may not use.',
    fix: 'List the namespaces: GET /v1/namespaces.',
  },
  'namespace.name_taken': {
    status: 409,
    title: 'A namespace of this name exists.',
    retry: false,
    example: 'The organization has a namespace named staging.',
    cause: 'Names of namespaces are unique within an organization.',
    fix: 'Choose another name, or use the namespace that has it.',
  },
  'namespace.not_empty': {
    status: 409,
    title: 'The namespace holds keys.',
    retry: false,
    example: 'The namespace holds 4 keys.',
    cause: 'A namespace can be deleted when each of its keys has been destroyed.',
    fix: 'Delete its keys and wait until they are destroyed.',
  },
  'api_key.not_found': {
    status: 404,
    title: 'There is no such API key.',
    retry: false,
    example: 'No API key has this id.',
    cause: 'The id is unknown or malformed, belongs to another organization, or the API key has been revoked.',
    fix: 'List the API keys: GET /v1/api-keys.',
  },

  'quota.keys_exceeded': {
    status: 403,
    title: 'The plan allows no more keys.',
    retry: false,
    example: 'The plan free allows 3 keys; the organization has 3.',
    cause: 'The organization has as many keys as its plan allows.',
    fix: 'Delete a key or change the plan.',
  },
  'quota.signatures_exceeded': {
    status: 403,
    title: 'The plan allows no more signatures this month.',
    retry: false,
    example: 'The plan free allows 10000 signatures a month; the next begins at 2026-12-01T00:00:00.000Z.',
    cause: 'The signatures of this calendar month (UTC) are used up.',
    fix: 'Change the plan, or wait for the month that detail names.',
  },
  'quota.namespaces_exceeded': {
    status: 403,
    title: 'The plan allows no more namespaces.',
    retry: false,
    example: 'The plan free allows 1 namespace.',
    cause: 'The organization has as many namespaces as its plan allows.',
    fix: 'Delete a namespace or change the plan.',
  },
  'rate.limited': {
    status: 429,
    title: 'Too many requests.',
    retry: true,
    example: 'The plan allows 1000 requests a second.',
    cause: 'The organization sent more requests in a second than its plan allows.',
    fix: 'Wait for the seconds in Retry-After; a batch counts as one request.',
  },

  'record.not_found': {
    status: 404,
    title: 'There is no such record.',
    retry: false,
    example: 'No record has this id.',
    cause: 'The id is unknown or malformed, or belongs to another organization.',
    fix: 'Search the records: GET /v1/audit/logs.',
  },
  'record.expired': {
    status: 410,
    title: 'The record was removed at the end of its retention.',
    retry: false,
    example: 'The retention of the plan is 7 days.',
    cause:
      'The plan keeps records of signatures, denials and sign-ins for a time; afterwards only their leaf hash stays in the log.',
    fix: 'Nothing brings it back; receipts fetched before stay valid.',
  },
  'receipt.not_ready': {
    status: 503,
    title: 'No checkpoint covers the record yet.',
    retry: true,
    example: 'The last checkpoint covers 41 records.',
    cause: 'Checkpoints are signed about once a second; none has covered this record within 2 seconds.',
    fix: 'Wait for the seconds in Retry-After and ask again.',
  },
  'log.range_invalid': {
    status: 400,
    title: 'The log does not have these sizes.',
    retry: false,
    example: 'The last checkpoint has size 41.',
    cause: 'old_size is above new_size, or new_size above the size of the last checkpoint.',
    fix: 'Take both sizes from checkpoints of this log. If the log is now smaller than a checkpoint you kept, its history was cut: keep that checkpoint as evidence.',
  },
  'log.behind': {
    status: 503,
    title: 'The log is behind what the signer has seen.',
    retry: false,
    example: 'The log has 41 records; the signer has seen 57.',
    cause:
      'The database is older than the signer’s ledger (a restored copy, a lost failover) or has another history. Nothing is signed with it.',
    fix: 'Whoever runs the instance restores the newer database, or accepts the loss: popsigner recover accept-rollback.',
  },

  'organization.busy': {
    status: 503,
    title: 'The organization is held by another transaction.',
    retry: true,
    example: 'The organization could not be locked within 250 ms.',
    cause: 'Another transaction holds the organization in the database.',
    fix: 'Wait for the seconds in Retry-After and send the same request again.',
  },
  'clock.skewed': {
    status: 503,
    title: 'The clocks of server and database differ.',
    retry: true,
    example: 'The clocks differ by more than 2 s.',
    cause: 'A record stamped more than 2 s away from the database’s clock is not written.',
    fix: 'Whoever runs the instance sets the clocks right; the request can then be repeated.',
  },
  'custody.unavailable': {
    status: 503,
    title: 'The signer does not answer.',
    retry: true,
    example: 'The signer is being started again.',
    cause:
      'The signer is being started again or is not reachable. An answer for a signature may have been lost: its record may exist.',
    fix: 'Repeat the request with the same Idempotency-Key: it takes no second quota and names the same record.',
  },
  'custody.refused': {
    status: 500,
    title: 'The signer refused.',
    retry: false,
    example: 'The signer refused the item: custody.leaf_mismatch.',
    cause: 'What the server asked for is not what the leaf or the sealed envelope says, or came after its deadline.',
    fix: 'Report it with the request id: a correct server does not ask for it.',
  },
  'custody.entropy_failed': {
    status: 503,
    title: 'The source of randomness failed its health test.',
    retry: false,
    example: 'The source of randomness failed its health test.',
    cause:
      'The random bytes drawn by the signer did not pass the health tests of SP 800-90B. No key is made until it is started again.',
    fix: 'Whoever runs the instance examines the machine before starting the signer again.',
  },
  'database.unavailable': {
    status: 503,
    title: 'The database does not answer.',
    retry: true,
    example: 'The record cannot be written.',
    cause: 'PostgreSQL is not reachable or refuses writes. Without a record nothing is signed.',
    fix: 'Wait for the seconds in Retry-After and repeat the request with the same Idempotency-Key.',
  },
  'instance.not_ready': {
    status: 503,
    title: 'The instance is not ready.',
    retry: true,
    example: 'One check fails.',
    cause: 'A part of the instance is starting, stopping or failing. errors[] has one entry for each check that fails.',
    fix: 'Wait, or look at the check that errors[] names.',
  },
  'internal.error': {
    status: 500,
    title: 'The server failed.',
    retry: false,
    example: 'The server failed. Its log has the reason under the request id.',
    cause: 'A fault in the server.',
    fix: 'Report it with the request id. A request with an Idempotency-Key can be repeated safely.',
  },
} as const satisfies Record<string, Problem>

/** One of the codes of the table. */
export type ProblemCode = keyof typeof problems

/** Every code, in the order of the table. */
export const problemCodes = Object.keys(problems) as readonly ProblemCode[]

/** Whether `code` is one of the table. */
export function isProblemCode(code: string): code is ProblemCode {
  return Object.hasOwn(problems, code)
}

/** The row of a code, typed as a row and not as the literal it is. */
export function problemOf(code: ProblemCode): Problem {
  return problems[code]
}

/** What is wrong with one field, as a problem document lists it. */
const fieldError = z
  .strictObject({
    field: z.string().describe('Path of the field, such as `keys[2].name`; of a header, its name.'),
    message: z.string().describe('What the field must be; it never repeats the value.'),
  })
  .meta({ id: 'FieldError' })

/** One entry of `errors`. */
export type FieldError = z.output<typeof fieldError>

/** RFC 9457 problem details, the body of every answer that is not a success. */
export const problemDocument = z
  .strictObject({
    type: z.string().describe('Reference to the documentation of the code.'),
    title: z.string().describe('What went wrong, the same sentence for every occurrence of the code.'),
    status: z.int().describe('The HTTP status, repeated.'),
    detail: z.string().describe('What went wrong this time.'),
    code: z
      .enum(problemCodes as [ProblemCode, ...ProblemCode[]])
      .describe('The stable name of the problem; branch on this.'),
    request_id: requestId.describe('Id of the request, also in `X-Request-Id` and in the server’s log.'),
    errors: z.array(fieldError).optional().describe('With `request.invalid`, one entry for each field.'),
  })
  .meta({ id: 'Problem', description: 'Problem details (RFC 9457), media type `application/problem+json`.' })

/** A problem document as it travels. */
export type ProblemDocument = z.output<typeof problemDocument>

/** Where the documentation of a code stands, relative to the instance. */
export function problemType(code: ProblemCode): string {
  return `/docs/errors#${code}`
}

/** Builds the document of one occurrence. `detail` is shown to the caller: no secret, no other tenant's data. */
export function describeProblem(
  code: ProblemCode,
  detail: string,
  requestId: string,
  errors?: readonly FieldError[],
): ProblemDocument {
  const { title, status } = problems[code]
  const document: ProblemDocument = { type: problemType(code), title, status, detail, code, request_id: requestId }
  if (errors !== undefined && errors.length > 0) document.errors = [...errors]
  return document
}
