import type { Row } from './rows.ts'

/** One of the goals: what was to be reached, what was measured, and whether that is enough. */
export interface Goal {
  readonly name: string
  readonly goal: string
  /** Null where this run did not measure it. */
  readonly measured: number | null
  readonly unit: string
  readonly met: boolean | null
  /** How far from the goal, as a share of it, when it was missed. */
  readonly missedBy: number | null
}

/** Holds the rows against the goals of this project, and then against the figures of its documents. */
export function judge(rows: readonly Row[]): Goal[] {
  const find = (section: string, name: string, connections: number | null = null): Row | undefined =>
    rows.find((row) => row.section.startsWith(section) && row.name === name && row.connections === connections)
  const single = (connections: number): Row | undefined => find('single', 'server', connections)
  const waits = (name: string, connections: number): number | null =>
    find('one caller', name, connections)?.ratio ?? null
  const best = (of: readonly (Row | undefined)[], read: (row: Row) => number | null): number | null => {
    const values = of.map((row) => (row ? read(row) : null)).filter((value) => value !== null)
    return values.length === 0 ? null : Math.max(...values)
  }
  const memory = find('sustained', 'memory of all processes, MB')?.max ?? null
  const create = rows.find((row) => row.section === 'keys' && row.name === 'create a key' && row.connections === 1)
  const four = find('batches', 'batch of 4', 1)
  const hundreds = rows.filter((row) => row.section === 'batches' && row.name === 'batch of 100')
  const singles = [1, 8, 32, 128, 512].map(single)

  const goals = [
    atLeast('single signatures, 128 connections, of the bare signing route', 0.75, single(128)?.ratio ?? null),
    atLeast('single signatures, 512 connections, of the bare signing route', 0.85, single(512)?.ratio ?? null),
    atLeast(
      'batches of 100, of the bare loop, signatures/s',
      0.65,
      best(hundreds, (row) => row.ratio),
    ),
    atMost(
      'sustained: the projection is never further behind',
      2_000,
      find('sustained', 'projection behind the log')?.max ?? null,
      'ms',
    ),
    atMost('a batch of 4, of one single request, p50', 1.25, waits('batch of 4', 1)),
    atMost(
      'four parallel single requests, of one single request, p50',
      1.25,
      waits('four parallel single requests', 4),
    ),
    below('one connection, p50', 1.5, single(1)?.p50 ?? null, 'ms'),
    atLeast(
      'beside the streaming client, of the rate without it',
      0.8,
      find('beside streaming', 'beside streaming', 128)?.ratio ?? null,
    ),
    below('memory of all processes (sum of PSS)', 500, memory, 'MB'),
    atMost(
      'p99 beside slow custodian calls, of the p99 without',
      2,
      find('beside slow', 'beside slow custodian calls', 32)?.ratio ?? null,
    ),
    ...judgeLarge(rows),
    below('documents: sign, p99 at 128 connections', 200, single(128)?.p99 ?? null, 'ms'),
    below('documents: batch of 4, p99', 250, four?.p99 ?? null, 'ms'),
    below('documents: key generation, p99', 100, create?.p99 ?? null, 'ms'),
    below('documents: p95 of single signatures at 128 connections', 50, single(128)?.p95 ?? null, 'ms'),
    above(
      'documents: operations a second (single signatures)',
      10_000,
      best(singles, (row) => row.rate),
      '/s',
    ),
    below('documents: memory', 1_000, memory, 'MB'),
  ]
  return goals
}

function judgeLarge(rows: readonly Row[]): Goal[] {
  const before = rows.filter((row) => row.section.startsWith('before filling') && row.ratio !== null)
  return before.map((row) => {
    const after = rows.find(
      (one) => one.section.startsWith('after filling') && one.name === row.name && one.connections === row.connections,
    )
    const share = after?.ratio && row.ratio ? after.ratio / row.ratio : null
    return atLeast(`large: ${row.name}, ${row.connections} connections, of the ratio before`, 0.9, share)
  })
}

function atLeast(name: string, goal: number, measured: number | null, unit = ''): Goal {
  return goalOf(name, '≥', goal, measured, unit, (value) => value >= goal)
}

function above(name: string, goal: number, measured: number | null, unit = ''): Goal {
  return goalOf(name, '>', goal, measured, unit, (value) => value > goal)
}

function atMost(name: string, goal: number, measured: number | null, unit = ''): Goal {
  return goalOf(name, '≤', goal, measured, unit, (value) => value <= goal)
}

function below(name: string, goal: number, measured: number | null, unit = ''): Goal {
  return goalOf(name, '<', goal, measured, unit, (value) => value < goal)
}

function goalOf(
  name: string,
  sign: string,
  goal: number,
  measured: number | null,
  unit: string,
  reached: (value: number) => boolean,
): Goal {
  const met = measured === null ? null : reached(measured)
  const missedBy = met === false ? Math.abs((measured as number) - goal) / goal : null
  return {
    name,
    goal: `${sign} ${goal.toLocaleString('en')}${unit === '' ? '' : ` ${unit}`}`,
    measured,
    unit,
    met,
    missedBy,
  }
}
