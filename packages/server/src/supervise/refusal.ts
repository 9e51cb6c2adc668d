/**
 * A start that cannot go on, in one sentence for the person who started it. The sentence names what to set or do.
 * It is printed as it is, without a stack; nothing has been changed on disk when it is thrown, unless it says so.
 */
export class Refusal extends Error {
  override name = 'Refusal'
}

/** The `code` of a system error (`ENOENT`, `EACCES`, …), or undefined for anything else. */
export function systemCode(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' ? code : undefined
}
