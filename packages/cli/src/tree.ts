import type { CommandRow, GroupRow } from './command.ts'
import { accountCommands } from './commands/account.ts'
import { apiKeyCommands } from './commands/api-keys.ts'
import { auditCommands } from './commands/audit.ts'
import { hostCommands } from './commands/host.ts'
import { instanceCommands } from './commands/instance.ts'
import { keyCommands } from './commands/keys.ts'
import { namespaceCommands } from './commands/namespaces.ts'
import { signatureCommands, signCommands } from './commands/sign.ts'
import { transactionCommands } from './commands/transaction.ts'
import { transferCommands } from './commands/transfer.ts'
import { completionScript, shells } from './completion.ts'
import { misuse } from './failure.ts'
import { nameKinds, namesMilliseconds, namesOf } from './names.ts'
import { topicCommands } from './topics.ts'

/** The groups of commands, in the order of the help. The first is the program itself. */
export const groups: readonly GroupRow[] = [
  {
    path: '',
    summary: 'Creates keys, signs with them, and proves afterwards what was signed',
    examples: ['popsigner keys create first', 'popsigner sign first --data hello --receipt receipt.json'],
  },
  {
    path: 'keys',
    summary: 'Create, change and delete keys',
    examples: ['popsigner keys create first', 'popsigner keys list'],
  },
  {
    path: 'transaction',
    summary: 'Read and sign transactions of chains',
    examples: [
      'popsigner transaction decode --chain eip155:1 @unsigned.hex',
      'popsigner transaction sign treasury --chain eip155:1 @unsigned.hex',
    ],
  },
  {
    path: 'signatures',
    summary: 'Add up BLS signatures',
    examples: [
      'popsigner signatures aggregate @first.txt @second.txt',
      'popsigner signatures verify-aggregate @sum.txt --public-key a4…,b3… --data hello',
    ],
  },
  {
    path: 'namespaces',
    summary: 'Environments inside the organization',
    examples: ['popsigner namespaces list', 'popsigner namespaces create staging'],
  },
  {
    path: 'api-keys',
    summary: 'The API keys with which programs sign in',
    examples: ['popsigner api-keys list', 'popsigner api-keys create ci-bot --scope api:keys:sign'],
  },
  {
    path: 'auth',
    summary: 'The API key in use',
    examples: ['popsigner whoami', 'popsigner auth token --reveal'],
  },
  {
    path: 'audit',
    summary: 'Read the log, and check it',
    examples: ['popsigner audit list --since 10m', 'popsigner audit verify receipt.json'],
  },
  {
    path: 'orgs',
    summary: 'Organizations of the instance (host)',
    examples: ['popsigner orgs list', 'popsigner orgs create acme'],
  },
  {
    path: 'seal',
    summary: 'The root key (host)',
    examples: ['popsigner seal rotate', 'popsigner seal rotate --organization-keys'],
  },
  {
    path: 'recover',
    summary: 'After a database was lost (host)',
    examples: [
      'popsigner recover accept-rollback acme',
      'popsigner recover accept-rollback acme --checkpoint receipt.json',
    ],
  },
  { path: 'help', summary: 'Pages of help', examples: ['popsigner help exit-codes', 'popsigner help environment'] },
]

const completionCommand: CommandRow = {
  path: 'completion',
  summary: 'Print the completion script of a shell',
  description: `For ${shells.join(', ')}. It completes commands and options, and names by asking the server, which has ${namesMilliseconds} ms to answer.`,
  arguments: [{ name: '<shell>', description: shells.join(', ') }],
  examples: [
    'source <(popsigner completion bash)',
    'popsigner completion fish > ~/.config/fish/completions/popsigner.fish',
    'popsigner completion powershell | Out-String | Invoke-Expression',
  ],
  speaksTo: 'none',
  run: async ({ output, terminal }, given) => {
    const shell = shells.find((one) => one === given.argument(0))
    if (shell === undefined)
      throw misuse('there is no completion for this shell', `It is there for ${shells.join(', ')}.`)
    const script = completionScript(shell, rows)
    if (output.json) output.object({ shell, script })
    else terminal.out(script)
  },
}

const namesCommand: CommandRow = {
  path: 'completion names',
  summary: 'Print the names that completion offers',
  description: `What the scripts of popsigner completion call: names of ${nameKinds.join(', ')} that begin with a text, of the newest hundred. Prints none, and does not fail, where the server has not answered within ${namesMilliseconds} ms or the API key may not see them.`,
  arguments: [
    { name: '<kind>', description: nameKinds.join(', ') },
    { name: '[prefix]', description: 'How they begin; with key_, ns_, ak_ or org_ their ids.' },
  ],
  examples: ['popsigner completion names keys', 'popsigner completion names keys production/'],
  speaksTo: 'api',
  also: [
    { route: 'keys.list', when: 'for names of keys' },
    { route: 'namespaces.list', when: 'for names of namespaces' },
    { route: 'apiKeys.list', when: 'for names of API keys' },
  ],
  run: async (session, given) => {
    const kind = nameKinds.find((one) => one === given.argument(0))
    if (kind === undefined)
      throw misuse('there are no names of this kind', `There are those of ${nameKinds.join(', ')}.`)
    const names = await namesOf(session, kind, given.optionalArgument(1) ?? '')
    if (session.output.json) session.output.object(names)
    else for (const name of names) session.output.line(name)
  },
}

/** Every command, in the order of the help. */
export const rows: readonly CommandRow[] = [
  ...keyCommands,
  ...transferCommands,
  ...signCommands,
  ...transactionCommands,
  ...signatureCommands,
  ...auditCommands,
  ...namespaceCommands,
  ...apiKeyCommands,
  ...accountCommands,
  ...instanceCommands,
  ...hostCommands,
  completionCommand,
  namesCommand,
  ...topicCommands,
]
