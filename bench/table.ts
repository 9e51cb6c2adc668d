import type { Goal } from './goals.ts'
import type { Row } from './rows.ts'

const columns = ['conns', 'rate/s', 'p50 ms', 'p95 ms', 'p99 ms', 'max ms'] as const
const nameWidth = 32
const widths = [6, 9, 8, 8, 8, 8] as const

/** The heading of the table, at most 100 columns wide. */
export function heading(): string {
  return `${''.padEnd(nameWidth)}${columns.map((name, i) => name.padStart(widths[i] as number)).join('')}  ratio`
}

/** A line of the table, with a line for its section when that is a new one. */
export function line(row: Row, previous: Row | undefined): string {
  const cells = [
    row.connections === null ? '' : String(row.connections),
    row.rate === null ? '' : group(row.rate),
    ...[row.p50, row.p95, row.p99, row.max].map((value) => (value === null ? '' : time(value))),
  ]
  const text = `  ${row.name}`.padEnd(nameWidth) + cells.map((cell, i) => cell.padStart(widths[i] as number)).join('')
  const ratio = row.ratio === null ? '' : `  ${row.ratio.toFixed(2)} of ${row.ratioTo}`
  const note = (row.note === null ? '' : `  ${row.note}`) + (row.refused === 0 ? '' : `  ${group(row.refused)} refused`)
  const section = previous?.section === row.section ? '' : `${previous ? '\n' : ''}${row.section}\n`
  return `${section}${(text + ratio + note).trimEnd()}`
}

/** The goals, one a line, each met or not. */
export function goalLines(goals: readonly Goal[]): string {
  const lines = goals.map(({ name, goal, measured, unit, met, missedBy }) => {
    const value = measured === null ? 'not measured' : `${number(measured)}${unit === '' ? '' : ` ${unit}`}`
    const verdict = met === null ? '' : met ? 'met' : `missed by ${Math.max(1, Math.round((missedBy ?? 0) * 100))} %`
    return `  ${name.padEnd(62)}${goal.padStart(11)}${value.padStart(13)}  ${verdict}`.trimEnd()
  })
  return ['goals', ...lines].join('\n')
}

function group(value: number): string {
  return Math.round(value).toLocaleString('en')
}

function time(value: number): string {
  return value >= 100 ? group(value) : value.toFixed(2)
}

function number(value: number): string {
  return value >= 100 ? group(value) : value.toFixed(2)
}
