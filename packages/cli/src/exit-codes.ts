/** What a command's exit code says. Append-only: scripts branch on these numbers. */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  denied: 3,
  notPermitted: 4,
  held: 5,
  notFound: 6,
  notValid: 7,
  partly: 8,
  tryLater: 75,
  interrupted: 130,
} as const

/** One of the exit codes. */
export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes]

/** The sentences of `popsigner help exit-codes`, in the order of the numbers. */
export const exitCodeMeanings: readonly (readonly [ExitCode, string])[] = [
  [0, 'done'],
  [1, 'failed'],
  [2, 'wrong usage: an option, argument, setting or field that is not accepted; nothing was done'],
  [3, 'denied: what the key, its policy or the plan does not allow'],
  [4, 'not signed in, or the API key lacks the scope'],
  [5, 'held: waits for approval'],
  [6, 'not found'],
  [7, 'a verification says no'],
  [8, 'some items of a batch failed; the others are done'],
  [75, 'try later: the server is not reachable or not ready, or there were too many requests'],
  [130, 'interrupted by Ctrl-C'],
]

// Refusals whose status alone does not tell: what a key or plan does not allow is denied by somebody's decision, not for
// lack of a scope.
const deniedCodes = new Set([
  'key.use_not_allowed',
  'key.not_exportable',
  'export.recipient_not_allowed',
  'waiting_days.not_allowed',
  'quota.keys_exceeded',
  'quota.signatures_exceeded',
  'quota.namespaces_exceeded',
])

/** The exit code for an answer of the API, by its problem code and HTTP status. */
export function exitCodeOf(code: string, status: number): ExitCode {
  if (deniedCodes.has(code) || code.startsWith('policy.')) return exitCodes.denied
  if (status === 429 || status === 503) return exitCodes.tryLater
  if (status === 401 || status === 403) return exitCodes.notPermitted
  if (status === 404 || status === 410) return exitCodes.notFound
  if (status === 400 || status === 413) return exitCodes.usage
  return exitCodes.failed
}
