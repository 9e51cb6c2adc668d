import { type CommandRow, optionsOf } from './command.ts'

/** The shells for which there is completion. */
export const shells = ['bash', 'zsh', 'fish'] as const

/** One place in the tree: what can follow these words. */
interface Place {
  readonly words: string
  readonly candidates: readonly string[]
}

/** The script that completes commands and options in this shell, made from the rows. */
export function completionScript(shell: (typeof shells)[number], rows: readonly CommandRow[]): string {
  const places = placesOf(rows)
  if (shell === 'fish') return fish(places)
  const cases = places
    .map(({ words, candidates }) => `    '${words}') candidates='${candidates.join(' ')}' ;;`)
    .join('\n')
  const script = `_popsigner() {
  local words= word candidates=
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
  COMPREPLY=($(compgen -W "$candidates" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _popsigner popsigner
`
  return shell === 'bash' ? script : `autoload -U +X bashcompinit && bashcompinit\n${script}`
}

function fish(places: readonly Place[]): string {
  const lines = ['complete -c popsigner -f']
  for (const { words, candidates } of places) {
    const condition =
      words === ''
        ? '__fish_use_subcommand'
        : words
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ')
    for (const candidate of candidates) {
      const what = candidate.startsWith('--') ? `-l ${candidate.slice(2)}` : `-a ${candidate}`
      lines.push(`complete -c popsigner -n '${condition}' ${what}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function placesOf(rows: readonly CommandRow[]): Place[] {
  const places = new Map<string, Set<string>>()
  const add = (words: string, candidate: string): void => {
    const known = places.get(words) ?? new Set()
    places.set(words, known.add(candidate))
  }
  for (const row of rows) {
    const words = row.path.split(' ')
    for (const [place, word] of words.entries()) add(words.slice(0, place).join(' '), word)
    for (const option of optionsOf(row)) {
      const name = /--[a-z][a-z0-9-]*/.exec(option.flags)?.[0]
      // It exists to be refused.
      if (name !== undefined && name !== '--api-key') add(row.path, name)
    }
  }
  return [...places].map(([words, candidates]) => ({ words, candidates: [...candidates] }))
}
