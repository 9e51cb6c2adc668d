import type { JqFilter } from './jq.ts'
import { mayRedraw, printable, type Terminal, wantsColor } from './terminal.ts'

/** What a command writes. `note` and `warn` are for people; everything else is data. */
export interface Output {
  readonly json: boolean
  /** One line of data. */
  line(text: string): void
  /** One JSON value: indented at a terminal, else on one line. */
  object(value: unknown): void
  /** One element of a stream, as a line of NDJSON. */
  element(value: unknown): void
  /** Name and value, aligned; a value of null is shown as –. */
  fields(pairs: readonly (readonly [string, string | number | boolean | null | undefined])[]): void
  /** Aligned columns under a header at a terminal; else tab-separated lines without one. */
  table(header: readonly string[], rows: readonly (readonly (string | number | null)[])[]): void
  /** A line for people on standard error; left out with `--json`. */
  note(text: string): void
  /** A warning on standard error; with `--json` as an object of its own line. */
  warn(text: string): void
}

/** Output onto a terminal, in text or as JSON, or what `filter` makes of that JSON. */
export function createOutput(terminal: Terminal, json: boolean, filter: JqFilter | null = null): Output {
  const color = wantsColor(terminal)
  const cell = (value: string | number | boolean | null | undefined): string =>
    value === null || value === undefined || value === '' ? '–' : printable(String(value))
  const line = (text: string): void => terminal.out(`${text}\n`)
  const filtered = (value: unknown): void => {
    const text = filter?.(JSON.stringify(value)) ?? ''
    if (text !== '')
      line(
        terminal.outIsTerminal
          ? text
              .split(/([\n\t])/)
              .map(safe)
              .join('')
          : text,
      )
  }
  return {
    json,
    line,
    object: (value) =>
      filter === null ? line(JSON.stringify(value, null, terminal.outIsTerminal ? 2 : undefined)) : filtered(value),
    element: (value) => (filter === null ? line(JSON.stringify(value)) : filtered(value)),
    fields(pairs) {
      const width = Math.max(...pairs.map(([name]) => name.length))
      for (const [name, value] of pairs) line(`${printable(name).padEnd(width)}  ${cell(value)}`)
    },
    table(header, rows) {
      const cells = rows.map((row) => row.map(cell))
      if (!terminal.outIsTerminal) {
        for (const row of cells) line(row.join('\t'))
        return
      }
      const widths = header.map((name, column) =>
        Math.max(name.length, ...cells.map((row) => (row[column] ?? '').length)),
      )
      const aligned = (row: readonly string[]): string =>
        row
          .map((text, column) => text.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()
      line(aligned(header))
      for (const row of cells) line(aligned(row))
    },
    note(text) {
      if (!json) terminal.err(`${paint(text, color)}\n`)
    },
    warn(text) {
      terminal.err(json ? `${JSON.stringify({ warning: text })}\n` : `${paint(`! ${text}`, color)}\n`)
    },
  }
}

// What jq prints is text out of the data: nothing but its own tabs and ends of lines may steer the terminal.
function safe(part: string): string {
  return part === '\n' || part === '\t' ? part : printable(part)
}

/** Colours the sign at the beginning of a line, which says the same without colour. */
export function paint(text: string, color: boolean): string {
  if (!color) return text
  const colors: Readonly<Record<string, number>> = { '✓': 32, '✕': 31, '◑': 33, '!': 33 }
  const code = colors[text.trimStart().charAt(0)]
  return code === undefined ? text : text.replace(/[✓✕◑!]/u, (sign) => `\u001b[${code}m${sign}\u001b[0m`)
}

/** A running count on standard error: nothing in the first 300 ms, then a line a second, redrawn where that is wanted. */
export interface Progress {
  update(done: number, failed?: number): void
  /** What was done so far, in words. */
  summary(): string
  end(): void
}

/** Starts a count towards `total` (null where it is not known) of `unit`, a plural. */
export function createProgress(terminal: Terminal, unit: string, total: number | null): Progress {
  const began = performance.now()
  const redraw = mayRedraw(terminal)
  let shown = Number.NEGATIVE_INFINITY
  let drawn = false
  let state = { done: 0, failed: 0 }
  const summary = (): string => {
    const rate = state.done / Math.max(0.001, (performance.now() - began) / 1000)
    const of = total === null ? '' : ` of ${total}`
    const failures = state.failed > 0 ? `, ${state.failed} failed` : ''
    return `${state.done}${of} ${unit}${failures}, ${Math.round(rate)} a second`
  }
  return {
    update(done, failed = 0) {
      state = { done, failed }
      const now = performance.now()
      if (now - began < 300 || now - shown < (redraw ? 100 : 1000)) return
      shown = now
      drawn = true
      terminal.err(redraw ? `\r\u001b[K${summary()}` : `${summary()}\n`)
    },
    summary,
    end() {
      if (drawn && redraw) terminal.err('\r\u001b[K')
    },
  }
}
