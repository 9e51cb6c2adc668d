import type { CommandRow } from '../command.ts'
import { collect, findNamespace } from '../find.ts'

/** Commands over namespaces. */
export const namespaceCommands: readonly CommandRow[] = [
  {
    path: 'namespaces create',
    summary: 'Create a namespace',
    description: 'An environment inside the organization, such as production or staging.',
    arguments: [{ name: '<name>', description: 'Its name, unique in the organization.' }],
    examples: ['popsigner namespaces create staging', 'popsigner namespaces create staging --json'],
    speaksTo: 'api',
    calls: ['namespaces.create'],
    run: async ({ output, client }, given) => {
      const namespace = await client().namespaces.create({ name: given.argument(0) })
      if (output.json) return output.object(namespace)
      output.fields([
        ['id', namespace.id],
        ['name', namespace.name],
        ['created', namespace.created_at],
      ])
    },
  },
  {
    path: 'namespaces list',
    summary: 'List namespaces',
    description: 'All that the API key may use, newest first.',
    examples: ['popsigner namespaces list', 'popsigner namespaces list --json'],
    speaksTo: 'api',
    calls: ['namespaces.list'],
    run: async ({ output, client, signal }) => {
      const namespaces = await collect(client().namespaces.all({ signal }))
      if (output.json) return output.object(namespaces)
      output.table(
        ['ID', 'NAME', 'KEYS', 'CREATED AT (UTC)'],
        namespaces.map(({ id, name, keys, created_at }) => [id, name, keys, created_at]),
      )
    },
  },
  {
    path: 'namespaces delete',
    summary: 'Delete a namespace',
    description: 'Refused while it holds keys that are not destroyed.',
    arguments: [{ name: '<namespace>', description: 'Name or id.', completes: 'namespaces' }],
    examples: ['popsigner namespaces delete staging', 'popsigner namespaces delete staging --json'],
    speaksTo: 'api',
    calls: ['namespaces.delete'],
    also: [{ route: 'namespaces.list' }],
    run: async (session, given) => {
      const { id, name } = await findNamespace(session, given.argument(0))
      await session.client().namespaces.delete(id)
      if (session.output.json) session.output.object({ id, name, deleted: true })
      session.output.note(`✓ deleted ${name}. Undo it: popsigner namespaces create ${name}`)
    },
  },
]
