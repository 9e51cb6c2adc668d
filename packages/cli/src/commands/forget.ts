import type { CommandRow, Given } from '../command.ts'
import { trustStore } from '../connect.ts'
import { exitCodes } from '../exit-codes.ts'
import { Failure } from '../failure.ts'
import { configDirectory } from '../profiles.ts'
import type { Session } from '../session.ts'
import { printable } from '../terminal.ts'

/** `popsigner audit forget`: the one way back after a loss that the host accepted. */
export const forgetCommand: CommandRow = {
  path: 'audit forget',
  summary: 'Forget the kept checkpoint of a log',
  description:
    'After a loss that the host accepted, and told you of by another channel than the server: the log is no extension of the checkpoint kept here, and every command that compares the two ends with exit code 7. What is forgotten is printed: keep it as evidence. The next checkpoint is believed without proof that it extends this one. Without a log, that of the API key.',
  arguments: [{ name: '[log]', description: 'Name of the log, <instance>/<organization>, as errors print it.' }],
  options: [
    {
      flags: '--keys',
      description: 'Forget the pinned keys of the log and of its instance as well: the next ones are trusted anew.',
    },
  ],
  examples: [
    'popsigner audit forget',
    'popsigner audit forget keys.example.com/org_01h455vb4pex5vsknk084sn02q --yes > evidence.txt',
  ],
  speaksTo: 'api',
  also: [{ route: 'signer.get', when: 'no log is named' }],
  asks: 'yes',
  run: forget,
}

async function forget(session: Session, given: Given): Promise<void> {
  const { output, terminal } = session
  const log = given.optionalArgument(0) ?? (await session.client().signer({ signal: session.signal })).log
  const config = configDirectory(terminal.environment, terminal.directory)
  const store = trustStore(config)
  const keys = given.flag('keys')
  const wanted = [`checkpoint:${log}`, ...(keys ? [`log_key:${log}`, `identity:${log.split('/', 1)[0]}`] : [])]
  const all = await store.all()
  const kept = wanted.filter((name) => all[name] !== undefined)
  if (kept.length === 0)
    throw new Failure(`nothing is kept of the log ${printable(log.slice(0, 300))}`, {
      exit: exitCodes.notFound,
      code: 'cli.nothing_kept',
      why: `The trust store in ${config} has no ${keys ? 'checkpoint and no key' : 'checkpoint'} of it.`,
    })
  await session.consent({
    what: keys ? 'Forget the kept checkpoint and the pinned keys' : 'Forget the kept checkpoint',
    consequence: `What the server says next is believed without proof${keys ? ', its keys too' : ' that it extends what was seen'}: only after a loss that the host told you of.`,
    where: [`log     ${log}`, `kept in ${config}`],
    name: null,
  })
  for (const name of kept) await store.forget(name)
  const forgotten = Object.fromEntries(kept.map((name) => [name, all[name]]))
  if (output.json) return output.object({ log, forgotten })
  for (const value of Object.values(forgotten))
    for (const line of (value ?? '').split('\n')) output.line(printable(line))
  output.note(`✓ forgot ${kept.map((name) => name.slice(0, name.indexOf(':')).replace('_', ' ')).join(', ')} of ${log}`)
}
