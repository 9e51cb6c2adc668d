import { type CommandRow, type NameKind, optionsOf } from './command.ts'

/** The shells for which there is completion. */
export const shells = ['bash', 'zsh', 'fish', 'powershell'] as const

/** One place in the tree: what can follow these words. */
interface Place {
  readonly words: string
  readonly candidates: readonly string[]
  /** Whose names can stand here. */
  readonly names: NameKind | null
}

/** An option whose value is a name. */
interface NamingOption {
  readonly option: string
  readonly names: NameKind
}

/** The script that completes commands, options and names in this shell, made from the rows. */
export function completionScript(shell: (typeof shells)[number], rows: readonly CommandRow[]): string {
  const places = placesOf(rows)
  const naming = namingOptionsOf(rows)
  if (shell === 'fish') return fish(places, naming)
  if (shell === 'powershell') return powershell(places, naming)
  const script = bash(places, naming)
  return shell === 'bash' ? script : `autoload -U +X bashcompinit && bashcompinit\n${script}`
}

function bash(places: readonly Place[], naming: readonly NamingOption[]): string {
  const cases = places
    .map(
      ({ words, candidates, names }) => `    '${words}') candidates='${candidates.join(' ')}' names=${names ?? ''} ;;`,
    )
    .join('\n')
  const options = naming.map(({ option, names }) => `    ${option}) candidates= names=${names} ;;`).join('\n')
  return `_popsigner() {
  local words= word candidates= names=
  local current="\${COMP_WORDS[COMP_CWORD]}" before="\${COMP_WORDS[COMP_CWORD-1]}"
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$word" in -*) continue ;; esac
    words="\${words:+$words }$word"
  done
  # Arguments are no words of the tree: take them away until the place is known.
  while :; do
    case "$words" in
${cases}
    esac
    [ -n "$candidates" ] && break
    case "$words" in *' '*) words="\${words% *}" ;; *) words= ;; esac
  done
  case "$before" in
${options}
  esac
  case "$current" in -*) ;; *) [ -n "$names" ] && candidates="$candidates $(popsigner completion names "$names" "$current" 2>/dev/null)" ;; esac
  COMPREPLY=($(compgen -W "$candidates" -- "$current"))
}
complete -o default -F _popsigner popsigner
`
}

function fish(places: readonly Place[], naming: readonly NamingOption[]): string {
  const lines = ['complete -c popsigner -f']
  const ask = (names: NameKind): string => `-a '(popsigner completion names ${names} (commandline -ct) 2>/dev/null)'`
  for (const { words, candidates, names } of places) {
    const condition =
      words === ''
        ? '__fish_use_subcommand'
        : words
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ')
    for (const candidate of candidates) {
      const kind = naming.find(({ option }) => option === candidate)?.names
      const value = kind === undefined ? '' : ` -x ${ask(kind)}`
      const what = candidate.startsWith('--') ? `-l ${candidate.slice(2)}${value}` : `-a ${candidate}`
      lines.push(`complete -c popsigner -n '${condition}' ${what}`)
    }
    if (names !== null) lines.push(`complete -c popsigner -n '${condition}' ${ask(names)}`)
  }
  return `${lines.join('\n')}\n`
}

function powershell(places: readonly Place[], naming: readonly NamingOption[]): string {
  const table = places
    .map(({ words, candidates, names }) => `    '${words}' = @('${names ?? ''}', '${candidates.join(' ')}')`)
    .join('\n')
  const options = naming.map(({ option, names }) => `    '${option}' = '${names}'`).join('\n')
  return `Register-ArgumentCompleter -Native -CommandName popsigner -ScriptBlock {
  param($current, $line, $position)
  $places = @{
${table}
  }
  $naming = @{
${options}
  }
  $given = @($line.CommandElements | Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.ToString() })
  $words = @($given | Select-Object -Skip 1 | Where-Object { -not $_.StartsWith('-') })
  # Arguments are no words of the tree: take them away until the place is known.
  while ($words.Count -gt 0 -and -not $places.ContainsKey($words -join ' ')) {
    $words = @($words | Select-Object -SkipLast 1)
  }
  $names, $listed = $places[$words -join ' ']
  $candidates = @($listed -split ' ' | Where-Object { $_ })
  if ($naming.ContainsKey($given[-1])) { $names = $naming[$given[-1]]; $candidates = @() }
  if ($names -and -not $current.StartsWith('-')) { $candidates += @(popsigner completion names $names $current 2>$null) }
  $candidates | Where-Object { $_.StartsWith($current) } | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`
}

function placesOf(rows: readonly CommandRow[]): Place[] {
  const places = new Map<string, Set<string>>()
  const names = new Map<string, NameKind>()
  const add = (words: string, candidate: string): void => {
    const known = places.get(words) ?? new Set()
    places.set(words, known.add(candidate))
  }
  for (const row of rows) {
    const words = row.path.split(' ')
    for (const [place, word] of words.entries()) add(words.slice(0, place).join(' '), word)
    for (const { flags } of optionsOf(row)) {
      const name = longName(flags)
      // It exists to be refused.
      if (name !== '--api-key') add(row.path, name)
    }
    const kind = row.arguments?.[0]?.completes
    if (kind !== undefined) names.set(row.path, kind)
  }
  return [...places].map(([words, candidates]) => ({
    words,
    candidates: [...candidates],
    names: names.get(words) ?? null,
  }))
}

/** An option has names of the same kind wherever it stands, or none: a test holds that. */
function namingOptionsOf(rows: readonly CommandRow[]): NamingOption[] {
  const found = new Map<string, NameKind>()
  for (const { flags, completes } of rows.flatMap(optionsOf)) if (completes) found.set(longName(flags), completes)
  return [...found].map(([option, names]) => ({ option, names }))
}

function longName(flags: string): string {
  return /--[a-z][a-z0-9-]*/.exec(flags)?.[0] ?? ''
}
