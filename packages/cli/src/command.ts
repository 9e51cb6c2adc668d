import { type RouteId, routeOf } from '@popsigner/sdk/routes'
import { type Argument, Command, CommanderError, InvalidArgumentError, Option } from 'commander'
import { distance } from './environment.ts'
import { misuse } from './failure.ts'
import type { Session } from './session.ts'

/** Of what the names are that completion offers; see `namesOf`. */
export type NameKind = 'keys' | 'namespaces' | 'api-keys' | 'organizations' | 'profiles'

/** An argument: `<key>` must be given, `[receipt]` may be, `<names...>` takes several. */
export interface ArgumentRow {
  readonly name: string
  readonly description: string
  /** What completion asks the server for here. */
  readonly completes?: NameKind
}

/** An option. Its value is text unless `whole` makes it a number or `many` a list. */
export interface OptionRow {
  /** As commander writes it: `--namespace <name>`, `--keep-active`. */
  readonly flags: string
  readonly description: string
  /** The smallest and largest whole number. */
  readonly whole?: readonly [number, number]
  /** May be given several times; `commas`: also several values at once. */
  readonly many?: 'commas' | 'whole'
  readonly choices?: readonly string[]
  readonly completes?: NameKind
}

/** Whom a command speaks to: the API (with an API key), the host's socket, or nobody. It decides the common options. */
export type Counterpart = 'api' | 'host' | 'none'

/** What a command calls beside what it is there for, or a scope that its own call needs in one case only. */
export type AlsoRow =
  | { readonly route: RouteId; readonly when?: string }
  | { readonly scope: string; readonly when: string }

/** One command. Help, completion and the tests are made from these rows. */
export interface CommandRow {
  /** Its words: `keys create`. */
  readonly path: string
  /** One line, an imperative without a full stop. */
  readonly summary: string
  readonly description: string
  readonly arguments?: readonly ArgumentRow[]
  readonly options?: readonly OptionRow[]
  /** At least one line that can be pasted. */
  readonly examples: readonly string[]
  readonly speaksTo: Counterpart
  /** The routes it is there to call; one of them in one run. What `--print-request` shows. */
  readonly calls?: readonly RouteId[]
  /** What else it calls, on the way there or afterwards. With `calls`, what `--print-scopes` is made from. */
  readonly also?: readonly AlsoRow[]
  /** Whether it asks before it acts, and so has `--yes`, or `--confirm` as well. */
  readonly asks?: 'yes' | 'name'
  /** Answers nothing or an exit code other than 0. Throws `Failure` for everything else. */
  readonly run: (session: Session, given: Given) => Promise<number> | Promise<void>
}

/** The arguments and options of one call, as they were parsed. */
export interface Given {
  /** An argument by its place. */
  argument(place: number): string
  optionalArgument(place: number): string | undefined
  /** All of them. */
  arguments(): readonly string[]
  text(name: string): string | undefined
  number(name: string): number | undefined
  list(name: string): readonly string[] | undefined
  flag(name: string): boolean
}

/** A group of commands and what stands above its help. */
export interface GroupRow {
  readonly path: string
  readonly summary: string
  readonly examples: readonly [string, string]
}

const common: readonly OptionRow[] = [
  { flags: '--json', description: 'Data as JSON on standard output; errors as JSON on standard error.' },
  {
    flags: '--jq <expression>',
    description: 'The same, and of the data what this jq expression makes of it; a text is printed without quotes.',
  },
]

const connection: readonly OptionRow[] = [
  { flags: '--url <url>', description: 'Address of the server. Outranks POPSIGNER_URL and the profile.' },
  {
    flags: '--profile <name>',
    description: 'Use this saved profile. Outranks POPSIGNER_PROFILE.',
    completes: 'profiles',
  },
  // Refused before parsing; it is here so that its help says why.
  {
    flags: '--api-key',
    description: 'Refused: every user of the machine can read it. Use POPSIGNER_API_KEY or popsigner login.',
  },
]

const yes: OptionRow = { flags: '--yes', description: 'Do not ask.' }
const confirmation: OptionRow = {
  flags: '--confirm <name>',
  description: 'Instead of typing the name where something cannot be undone.',
}

const printRequest: OptionRow = {
  flags: '--print-request',
  description: 'Show the request as a curl command instead of sending it. The API key is not in it.',
}
const dryRun: OptionRow = {
  flags: '--dry-run',
  description:
    'Check and look up all that comes before the change, and show it. The server is not asked whether it would allow it.',
}
const printScopes: OptionRow = {
  flags: '--print-scopes',
  description: 'Show the scopes that the API key needs for this command, and do nothing.',
}

/** The options that show what a command would do or needs. */
function showingOptions({ calls, also }: CommandRow): readonly OptionRow[] {
  const changes = calls?.some((route) => routeOf(route).method !== 'GET')
  return [...(changes ? [dryRun] : []), ...(calls ? [printRequest] : []), ...(calls || also ? [printScopes] : [])]
}

/** Every option of a command, its own first. */
export function optionsOf(row: CommandRow): readonly OptionRow[] {
  return [
    ...(row.options ?? []),
    ...(row.asks === 'yes' ? [yes] : row.asks === 'name' ? [yes, confirmation] : []),
    ...showingOptions(row),
    ...common,
    ...(row.speaksTo === 'api' ? connection : []),
  ]
}

/** Where a parsed command is handed to be run. */
export type Dispatch = (row: CommandRow, given: Given) => Promise<void>

/** Builds the parser. Help goes to `write`; a parsing error is thrown as commander's own and nothing is written. */
export function buildParser(
  groups: readonly GroupRow[],
  rows: readonly CommandRow[],
  dispatch: Dispatch,
  write: (text: string) => void,
  columns: number,
): Command {
  const root = new Command('popsigner')
  // The order of the rows is that of the help.
  for (const row of rows) addRow(nodeAt(root, row.path), row, dispatch)
  for (const { path, summary, examples } of groups) {
    const group = path === '' ? root : nodeAt(root, path)
    group.summary(summary).description(`${summary}.`).addHelpText('after', examplesText(examples))
    group
      .allowExcessArguments()
      .allowUnknownOption()
      .action((_options: unknown, command: Command) => {
        const word = command.args.find((one) => !one.startsWith('-')) ?? command.args[0]
        if (word === undefined) command.outputHelp()
        else if (path === 'help' && !word.startsWith('-')) commandAt(root, command.args).outputHelp()
        else if (word.startsWith('-'))
          throw new CommanderError(1, 'commander.unknownOption', `error: unknown option '${word}'`)
        else throw unknownCommand(command, word)
      })
  }
  // Nodes made on the way inherit nothing, so each is told.
  for (const node of everyNode(root)) settle(node, write, columns)
  return root
}

function examplesText(examples: readonly string[]): string {
  return `\nExamples:\n${examples.map((line) => `  ${line}`).join('\n')}`
}

/** The command of these words, for `popsigner help keys create`. */
function commandAt(root: Command, words: readonly string[]): Command {
  let node = root
  for (const word of words) {
    const next = node.commands.find((child) => child.name() === word)
    if (next === undefined) throw unknownCommand(node, word)
    node = next
  }
  return node
}

function unknownCommand(parent: Command, word: string): CommanderError {
  const names = parent.commands.map((child) => child.name())
  const close = names.map((name) => [distance(name, word), name] as const).sort(([a], [b]) => a - b)[0]
  const suggestion = close !== undefined && close[0] <= word.length / 2 ? `\n(Did you mean ${close[1]}?)` : ''
  return new CommanderError(1, 'commander.unknownCommand', `error: unknown command '${word}'${suggestion}`)
}

/** Every command below and including `root`. */
export function* everyNode(root: Command): Generator<Command> {
  yield root
  for (const child of root.commands) yield* everyNode(child)
}

function settle(command: Command, write: (text: string) => void, columns: number): void {
  command
    // `sign batch --json`: the option is that of the command it follows, also where the one before it has the same.
    .enablePositionalOptions()
    .exitOverride()
    .helpCommand(false)
    .helpOption('-h, --help', 'Show this.')
    .configureHelp({ subcommandTerm: (child) => [child.name(), ...child.registeredArguments.map(termOf)].join(' ') })
    .configureOutput({ writeOut: write, writeErr: () => {}, outputError: () => {}, getOutHelpWidth: () => columns })
    .showSuggestionAfterError()
}

function termOf(argument: Argument): string {
  const text = `${argument.name()}${argument.variadic ? '...' : ''}`
  return argument.required ? `<${text}>` : `[${text}]`
}

function nodeAt(root: Command, path: string): Command {
  let node = root
  for (const word of path.split(' ')) {
    node = node.commands.find((child) => child.name() === word) ?? node.command(word)
  }
  return node
}

function addRow(node: Command, row: CommandRow, dispatch: Dispatch): void {
  node.summary(row.summary).description(`${row.summary}.\n\n${row.description}`)
  for (const { name, description } of row.arguments ?? []) node.argument(name, description)
  for (const option of optionsOf(row)) node.addOption(optionFor(option))
  node.addHelpText('after', examplesText(row.examples))
  node.allowExcessArguments(false)
  node.action(async (...parts: unknown[]) => {
    const command = parts.at(-1) as Command
    await dispatch(row, readGiven(row, command))
  })
}

function optionFor(row: OptionRow): Option {
  const option = new Option(row.flags, row.description)
  const { whole, many, choices } = row
  if (whole) {
    option.argParser((text: string) => {
      const value = /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN
      if (value >= whole[0] && value <= whole[1]) return value
      throw new InvalidArgumentError(`It must be a whole number from ${whole[0]} to ${whole[1]}.`)
    })
  } else if (many) {
    option.argParser((text: string, before: readonly string[] | undefined) => {
      const values = many === 'commas' ? text.split(',') : [text]
      const wrong = choices && values.find((value) => !choices.includes(value))
      if (wrong !== undefined || values.includes(''))
        throw new InvalidArgumentError(choices ? `Allowed are ${choices.join(', ')}.` : 'A value is empty.')
      return [...(before ?? []), ...values]
    })
  } else if (choices) option.choices(choices)
  return option
}

function readGiven(row: CommandRow, command: Command): Given {
  const options = command.opts<Record<string, unknown>>()
  const known = optionsOf(row).map(({ flags }) => optionName(flags))
  const get = (name: string): unknown => {
    if (!known.includes(name)) throw new RangeError(`${name}: ${row.path} has no such option`)
    return options[camel(name)]
  }
  return {
    argument(place) {
      const value = command.args[place]
      if (value === undefined) throw new RangeError(`argument ${place}: ${row.path} has none`)
      return value
    },
    optionalArgument: (place) => command.args[place],
    arguments: () => command.args,
    text: (name) => get(name) as string | undefined,
    number: (name) => get(name) as number | undefined,
    list: (name) => get(name) as readonly string[] | undefined,
    flag: (name) => get(name) === true,
  }
}

/** The long name in an option's flags: `namespace` of `--namespace <name>`. */
export function optionName(flags: string): string {
  return /--([a-z][a-z0-9-]*)/.exec(flags)?.[1] ?? ''
}

function camel(name: string): string {
  return name.replace(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())
}

/** What commander objects to, as a usage failure with the help to read. Null for its ways to say that help was shown. */
export function usageFailure(error: CommanderError, words: readonly string[]): Error | null {
  if (error.code === 'commander.helpDisplayed' || error.code === 'commander.help' || error.code === 'commander.version')
    return null
  const [first = '', ...rest] = error.message.replace(/^error: /, '').split('\n')
  const invalid = /^(.*) is invalid\. (.*)$/.exec(first)
  if (invalid)
    return misuse(`${invalid[1]} is not accepted`, invalid[2] ?? '', [
      { command: ['popsigner', ...words, '--help'].join(' '), when: 'to see what it takes' },
    ])
  const suggestion = rest.map((line) => line.trim().replace(/^\(|\)$/g, '')).find((line) => line !== '')
  const help = ['popsigner', ...words, '--help'].join(' ')
  const why =
    suggestion ??
    (error.code === 'commander.missingArgument' || error.code === 'commander.optionMissingArgument'
      ? 'It must be given.'
      : 'The command does not take this.')
  return misuse(first, why, [{ command: help, when: 'to see what it takes' }])
}
