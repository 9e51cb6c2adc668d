/**
 * The server process: one JSON line of configuration on standard input, which then stays open; `{"ready":true,"port":…}` or
 * `{"refusal":"…"}` on standard output; JSON logs on standard error. It reads the files it needs and listens before it gives up
 * root, and answers 503 until everything is ready. It ends when its input closes, and drains on SIGTERM.
 */
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { flushCompileCache } from 'node:module'
import { createInterface } from 'node:readline'
import { SignerClient } from '@popsigner/custody/client'
import pg from 'pg'
import { type AppendedBatch, createAuthorizer } from './authorize/authorizer.ts'
import { createChanges } from './changes.ts'
import { readInstance, refuseUnsafeDatabase } from './database/instance.ts'
import { migrate } from './database/migrate.ts'
import { connectionSettings } from './database/settings.ts'
import { ServerFault } from './faults.ts'
import { accessHandlers } from './handlers/access.ts'
import { auditHandlers } from './handlers/audit.ts'
import { keyHandlers } from './handlers/keys.ts'
import type { Services } from './handlers/services.ts'
import { signingHandlers } from './handlers/signing.ts'
import { systemHandlers } from './handlers/system.ts'
import { transactionHandlers } from './handlers/transactions.ts'
import { transferHandlers } from './handlers/transfer.ts'
import { createAdmin } from './host/admin.ts'
import { listOrganizations } from './host/organizations.ts'
import { createAccess } from './http/access.ts'
import { createApp } from './http/app.ts'
import { createBulk } from './http/bulk.ts'
import { RequestFault } from './http/request-fault.ts'
import { createJobs } from './jobs/jobs.ts'
import { createActivity } from './log/activity.ts'
import { createKeeper, type Keeper } from './log/keeper.ts'
import { createLog, errorFields } from './log.ts'
import { createMetrics } from './metrics.ts'
import { readReadiness } from './readiness.ts'
import { createSigning } from './signing/signing.ts'
import type { ServerConfiguration } from './supervise/contract.ts'
import { createCredentials } from './tenants/credential.ts'
import { createOrganizations } from './tenants/organization.ts'

const version = (JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string })
  .version
const authorizeFlights = 6
const drainMilliseconds = 8_000
/** Anybody may ask for readiness: the parts are looked at twice a second at the most. */
const readinessMilliseconds = 500
const lastRequestMilliseconds = 4_000

async function main(): Promise<void> {
  const configuration = await readConfiguration()
  const log = createLog(configuration.logLevel)
  const proof = readFileSync(configuration.proofFile)
  const https = configuration.tls
    ? { cert: readFileSync(configuration.tls.certFile), key: readFileSync(configuration.tls.keyFile) }
    : undefined
  const settings = connectionSettings(configuration.database)
  const { term } = await openDatabase(settings, configuration.instance)
  // Apart, so that reads never wait for a connection behind authorizing transactions, nor these behind them.
  const authorizing = new pg.Pool({ ...settings, max: authorizeFlights, idleTimeoutMillis: 0 })
  const pool = new pg.Pool({ ...settings, max: 10 })
  for (const one of [authorizing, pool]) {
    // The pool listens only while a client is idle, and an error that nobody listens to ends the process.
    one.on('error', () => {})
    one.on('connect', (client) => {
      client.on('error', (error) => log.warn('a database connection was lost', errorFields(error)))
    })
  }
  // Behind a new connection there may be another database: a copy put back, or a standby that had not got everything.
  for (const event of ['connect', 'remove'] as const) authorizing.on(event, () => keeper?.unprove())

  const state = { ready: false, draining: false }
  // Rows of the table are mounted before anything can be asked of them; the parts they work with come with the database.
  let keeper: Keeper | undefined
  const signer = new SignerClient({
    socket: configuration.signerSocket,
    instance: configuration.instance,
    proof,
    term,
  })
  let connections = 0
  signer.on('connected', () => {
    connections++
    log.info('the signer is connected', { connections })
  })
  signer.on('disconnected', () => {
    // A drain ends the connection itself.
    if (!state.draining) log.warn('the signer is not connected')
  })
  const metrics = createMetrics({
    lagSeconds: () => (keeper?.lagMilliseconds() ?? 0) / 1000,
    signerConnected: () => signer.capabilities !== null,
    logsBehind: () => keeper?.behind().length ?? 0,
  })
  const organizations = createOrganizations(pool, configuration.instance)
  const credentials = createCredentials(pool, organizations)
  const appended = (organization: string, size: number, batch?: AppendedBatch): void =>
    keeper?.appended(organization, size, batch)
  const authorizer = createAuthorizer({
    pool: authorizing,
    flights: authorizeFlights,
    onAppended: appended,
    observe: metrics.batch,
  })
  keeper = createKeeper({ pool, signer, organizations, authorizer, log })
  const changes = createChanges(pool, organizations, appended)
  const activity = createActivity(authorizer, organizations, (apiKey, at) => {
    pool
      .query(
        'insert into api_key_uses values ($1, $2) on conflict (api_key_id) do update set last_used_at = excluded.last_used_at',
        [apiKey, new Date(at)],
      )
      .catch((error: unknown) => log.warn('the use of an API key was not noted', errorFields(error)))
  })
  let signatures = 0
  const signing = createSigning({
    pool,
    organizations,
    authorizer,
    signer,
    keeper,
    observe: (outcome) => {
      signatures++
      metrics.signature(outcome)
    },
    onError: (error) => log.error('signing failed', errorFields(error)),
  })
  let wake = (): void => {}
  const services: Services = {
    instance: configuration.instance,
    pool,
    changes,
    signer,
    keeper,
    signing,
    wakeJobs: () => wake(),
  }
  const checks = rememberFor(readinessMilliseconds, () =>
    readReadiness(pool, signer, services.keeper, () => connections),
  )
  const app = createApp({
    access: createAccess(credentials, activity, metrics),
    metrics,
    bulk: createBulk(() => signatures),
    log,
    ...(https ? { https } : {}),
    handlers: {
      ...keyHandlers(services),
      ...signingHandlers(services, activity),
      ...transactionHandlers(services, activity),
      ...transferHandlers(services),
      ...accessHandlers(services),
      ...auditHandlers(services),
      ...systemHandlers(configuration.instance, version, checks),
    },
  })
  app.addHook('onRequest', (request, _reply, done) => {
    if (state.ready || request.url === '/healthz' || request.url === '/readyz') done()
    else done(new RequestFault('instance.not_ready', 'The server is starting or ending.', { retryAfterSeconds: 1 }))
  })
  const exposition = async (): Promise<string> => metrics.registry.metrics()
  const metricsServer =
    configuration.metrics === null
      ? null
      : createServer((request, response) => {
          if (request.method !== 'GET' || request.url !== '/metrics') response.writeHead(404).end()
          else
            void exposition().then((text) =>
              response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(text),
            )
        })
  if (!metricsServer) {
    app.get('/metrics', async (_request, reply) => reply.type(metrics.registry.contentType).send(await exposition()))
  }
  const started = Date.now()
  const admin = createAdmin(
    { instance: configuration.instance, pool, signer, organizations, changes, keeper },
    async () => ({
      instance: configuration.instance,
      version,
      pid: process.pid,
      uptime_seconds: Math.floor((Date.now() - started) / 1000),
      url: urlOf(configuration, port),
      organizations: (await listOrganizations(pool)).length,
      checks: await checks(),
      projection_lag_ms: services.keeper.lagMilliseconds(),
    }),
    log,
  )

  await app.listen({ host: configuration.host, port: configuration.port })
  const address = app.server.address()
  const port = typeof address === 'object' && address ? address.port : configuration.port
  if (metricsServer && configuration.metrics) await listen(metricsServer, configuration.metrics)
  // Where this process may still write it; no later start translates the source again.
  flushCompileCache()
  giveUpRoot(configuration)
  await listen(admin, { path: configuration.adminSocket })

  void signer.connect().catch((error: unknown) => log.error('the signer refused this server', errorFields(error)))
  const jobs = createJobs(services, organizations, log)
  wake = jobs.wake
  wake()
  state.ready = true
  process.stdout.write(`${JSON.stringify({ ready: true, port })}\n`)
  log.info('the server is ready', { port })

  async function drain(): Promise<void> {
    if (state.draining) return
    state.draining = true
    log.info('the server is draining')
    setTimeout(() => process.exit(1), drainMilliseconds).unref()
    // A connection on which no request was ever sent counts as busy; nobody waits for those.
    setTimeout(() => app.server.closeAllConnections(), lastRequestMilliseconds).unref()
    await app.close()
    admin.close()
    admin.closeAllConnections()
    metricsServer?.close()
    await jobs.close()
    await activity.close()
    await authorizer.idle()
    await services.keeper.close()
    await signer.close()
    await Promise.all([authorizing.end(), pool.end()])
    process.exit(0)
  }
  process.on('SIGTERM', () => void drain())
  // A terminal's Ctrl-C reaches the whole group; the supervisor says when to drain.
  process.on('SIGINT', () => {})
}

/** Migrates the database and reads what it says of the instance. Throws `ServerFault` for one that is not ours or not safe. */
async function openDatabase(settings: pg.ClientConfig, instance: string): Promise<{ term: number }> {
  const client = new pg.Client(settings)
  await client.connect()
  try {
    await refuseUnsafeDatabase(client)
    await migrate(client)
    return await readInstance(client, instance)
  } finally {
    await client.end()
  }
}

function rememberFor<T>(milliseconds: number, read: () => Promise<T>): () => Promise<T> {
  let last: { readonly at: number; readonly value: Promise<T> } | undefined
  return () => {
    if (!last || Date.now() - last.at > milliseconds) last = { at: Date.now(), value: read() }
    return last.value
  }
}

function readConfiguration(): Promise<ServerConfiguration> {
  return new Promise((resolve, reject) => {
    const lines = createInterface({ input: process.stdin })
    lines.once('line', (line) => {
      try {
        resolve(JSON.parse(line) as ServerConfiguration)
      } catch {
        reject(new ServerFault('configuration.invalid', { field: 'stdin', reason: 'not one line of JSON' }))
      }
    })
    // The supervisor is gone: nobody is left to drain for.
    process.stdin.once('end', () => process.exit(0))
    process.stdin.once('error', () => process.exit(0))
  })
}

function giveUpRoot({ uid, gid }: ServerConfiguration): void {
  if (uid === undefined || gid === undefined) return
  process.setgroups?.([gid])
  process.setgid?.(gid)
  process.setuid?.(uid)
}

function listen(
  server: ReturnType<typeof createServer>,
  where: { host: string; port: number } | { path: string },
): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // Only the owner, and root, may speak to the admin socket.
    const mask = 'path' in where ? process.umask(0o177) : null
    server.listen(where, () => {
      if (mask !== null) process.umask(mask)
      resolve()
    })
  })
}

function urlOf({ host, tls }: ServerConfiguration, port: number): string {
  return `${tls ? 'https' : 'http'}://${host.includes(':') ? `[${host}]` : host}:${port}`
}

const refusals: { readonly [code: string]: (detail: Record<string, unknown>) => string } = {
  'database.newer': (d) =>
    `The database has schema ${d['database']} and this version knows ${d['code']}: start the newer version that wrote it.`,
  'database.unsafe': (d) => `The database has ${d['setting']} switched off and could lose records: switch it on.`,
  'database.instance_differs': (d) =>
    `The database belongs to the instance ${d['database']} and this data directory to ${d['configured']}: set DATABASE_URL or POPSIGNER_DATA_DIR to the other.`,
  'configuration.invalid': (d) => `${d['field']}: ${d['reason']}.`,
}

main().catch((error: unknown) => {
  const text =
    error instanceof ServerFault ? refusals[error.code]?.(error.detail as Record<string, unknown>) : undefined
  process.stdout.write(`${JSON.stringify({ refusal: text ?? 'The server could not start; its log says why.' })}\n`)
  if (!text)
    process.stderr.write(
      `${JSON.stringify({ level: 'error', msg: 'the server could not start', ...errorFields(error), message: error instanceof Error ? error.message : undefined })}\n`,
    )
  process.exit(1)
})
