import { exitCodes } from '../exit-codes.ts'
import type { Session } from '../session.ts'
import { printable } from '../terminal.ts'

/** `popsigner audit verify` without a receipt: reads the whole log and checks all of it. Answers the exit code. */
export async function verifyLog(session: Session): Promise<number> {
  const { output, signal } = session
  const progress = session.progress('records', null)
  const audit = await session.client().audit.auditLog({ signal, onProgress: (read) => progress.update(read) })
  progress.end()
  const { statements } = audit
  const exit = audit.ok ? exitCodes.done : exitCodes.notValid
  if (output.json) {
    output.object(audit)
    return exit
  }
  const found = (codes: RegExp): boolean => audit.problems.some(({ code }) => codes.test(code))
  const check = (failed: boolean, words: string): void => output.line(`${failed ? '✕' : '✓'} ${words}`)
  check(found(/^leaf\.missing|^root\./), `the ${audit.size} records are those of the checkpoint ${audit.root}`)
  check(found(/^leaf\.(malformed|invalid|foreign)/), 'every leaf is the canonical form of a known event of this log')
  check(found(/^record\./), 'what the server lists is what the leaves say')
  check(
    found(/^statement\./),
    `what the signer says it signed is in the log: ${statements.attested} signatures in ${statements.statements} statements`,
  )
  for (const { code, index, detail } of audit.problems) output.line(`  ✕ ${code} at ${index}: ${printable(detail)}`)
  if (audit.problemCount > audit.problems.length) output.line(`  … ${audit.problemCount} in all`)
  output.line('')
  output.fields([
    ['log', audit.log],
    ['records', audit.leaves],
    ['removed by retention', audit.removed],
    ['signatures not yet covered by a statement', statements.pending],
    ['authorized and never signed', statements.neverSigned],
    ['losses accepted by the host', statements.rollbacks],
  ])
  if (!audit.ok) output.note('✕ The log does not hold. Keep this output and the trust file as evidence.')
  return exit
}
