import assert from 'node:assert/strict'
import { test } from 'node:test'
import { baseUrl, isLoopback, readConfig } from './config.ts'
import { Refusal } from './refusal.ts'

const strict = { plainHttp: false, unlockedMemory: false }
const read = (environment: Record<string, string>, flags = strict) => readConfig(environment, '/srv/keys', flags)

test('without any setting all state is in .popsigner and only this machine is served', () => {
  const config = read({})
  assert.equal(config.dataDirectory, '/srv/keys/.popsigner')
  assert.equal(config.sealKeyFile, '/srv/keys/.popsigner/seal/root.key')
  assert.deepEqual(
    [config.host, config.port, config.tls, config.metrics, config.databaseUrl],
    ['127.0.0.1', 8080, null, null, null],
  )
  assert.ok(Object.isFrozen(config))
})

test('a name nobody knows is refused, and the sentence names it', () => {
  assert.throws(() => read({ POPSIGNER_PROT: '8081' }), {
    name: 'Refusal',
    message: /^POPSIGNER_PROT is not a setting/,
  })
})

test('the variables of the command are known and change nothing here', () => {
  assert.deepEqual(read({ POPSIGNER_API_KEY: 'psk_live_x', POPSIGNER_URL: 'https://keys.example.com' }), read({}))
})

test('values that do not fit are refused, naming the variable', () => {
  const bad: [string, string][] = [
    ['POPSIGNER_PORT', '65536'],
    ['POPSIGNER_PORT', '-1'],
    ['POPSIGNER_PORT', '80a'],
    ['POPSIGNER_PORT', '0x50'],
    ['POPSIGNER_HOST', 'keys.example.com'],
    ['POPSIGNER_LOG_LEVEL', 'loud'],
    ['POPSIGNER_METRICS_PORT', '9.5'],
    ['POPSIGNER_METRICS_HOST', 'everywhere'],
    ['DATABASE_URL', 'mysql://localhost/keys'],
    ['DATABASE_URL', 'localhost'],
  ]
  for (const [name, value] of bad) {
    assert.throws(
      () => read({ [name]: value }),
      (error) => error instanceof Refusal && error.message.includes(name),
      `${name}=${value}`,
    )
  }
})

test('the refusal of a database address does not repeat its password', () => {
  assert.throws(
    () => read({ DATABASE_URL: 'mysql://keys:hunter2@localhost/keys' }),
    (error) => error instanceof Refusal && !error.message.includes('hunter2'),
  )
})

test('a host other than loopback needs TLS or the flag that says what is given up', () => {
  const files = { POPSIGNER_TLS_CERT_FILE: 'cert.pem', POPSIGNER_TLS_KEY_FILE: '/etc/tls/key.pem' }
  for (const host of ['0.0.0.0', '::', '192.0.2.1', '::ffff:127.0.0.1']) {
    assert.throws(
      () => read({ POPSIGNER_HOST: host }),
      /POPSIGNER_TLS_CERT_FILE and POPSIGNER_TLS_KEY_FILE.*--insecure-plain-http/,
    )
    assert.equal(read({ POPSIGNER_HOST: host }, { ...strict, plainHttp: true }).host, host)
    assert.deepEqual(read({ POPSIGNER_HOST: host, ...files }).tls, {
      certFile: '/srv/keys/cert.pem',
      keyFile: '/etc/tls/key.pem',
    })
  }
  for (const host of ['127.0.0.1', '127.8.8.8', '::1', 'localhost'])
    assert.equal(read({ POPSIGNER_HOST: host }).tls, null)
  assert.throws(() => read({ POPSIGNER_TLS_CERT_FILE: 'cert.pem' }), /needs both/)
})

test('metrics leave the address of the API as soon as others can reach that', () => {
  const open = { POPSIGNER_HOST: '0.0.0.0' }
  assert.deepEqual(read(open, { ...strict, plainHttp: true }).metrics, { host: '127.0.0.1', port: 9464 })
  assert.deepEqual(read({ POPSIGNER_METRICS_HOST: '192.0.2.7' }).metrics, { host: '192.0.2.7', port: 9464 })
  assert.deepEqual(read({ POPSIGNER_METRICS_PORT: '9000' }).metrics, { host: '127.0.0.1', port: 9000 })
})

test('children get nothing of the environment but where coverage is written', () => {
  const secrets = { POPSIGNER_API_KEY: 'psk_live_x', PGPASSWORD: 'x', NODE_OPTIONS: '--inspect', HOME: '/root' }
  assert.deepEqual(Object.keys(read(secrets).childEnvironment).sort(), ['NODE_ENV', 'PATH', 'TZ'])
  for (const name of ['NODE_V8_COVERAGE', 'NODE_COMPILE_CACHE'])
    assert.equal(read({ [name]: '/tmp/c' }).childEnvironment[name], '/tmp/c')
})

test('the address that is printed is one that can be typed', () => {
  assert.equal(baseUrl({ host: '0.0.0.0', tls: null }, 8080), 'http://127.0.0.1:8080')
  assert.equal(baseUrl({ host: '::', tls: { certFile: 'c', keyFile: 'k' } }, 1), 'https://[::1]:1')
  assert.ok(!isLoopback('127.0.0.1.example.com') && !isLoopback('128.0.0.1'))
})
