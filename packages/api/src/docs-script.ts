/**
 * Script of `/docs`: reads `/openapi.json` and builds the reference. It writes text only, never markup, so whatever the
 * document says stays text. The API key lives in a variable of this page and goes to this origin alone.
 */
export const docsScript = `'use strict'
const byName = (name) => document.getElementById(name)
const make = (tag, attributes, ...children) => {
  const node = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes || {})) {
    if (typeof value === 'function') node.addEventListener(name, value)
    else if (value === true) node.setAttribute(name, '')
    else if (value !== false && value != null) node.setAttribute(name, value)
  }
  node.append(...children.flat().filter((child) => child != null))
  return node
}
// Backticks and double asterisks are all the markup that descriptions use.
const prose = (text) => (text || '').split(/(\`[^\`]+\`|\\*\\*[^*]+\\*\\*)/).map((part) =>
  part.startsWith('\`') ? make('code', {}, part.slice(1, -1)) : part.startsWith('**') ? make('strong', {}, part.slice(2, -2)) : part)
const paragraphs = (text) => (text || '').split('\\n\\n').map((block) => block.startsWith('- ')
  ? make('ul', {}, block.slice(2).split('\\n- ').map((item) => make('li', {}, prose(item))))
  : make('p', {}, prose(block)))
const sample = (text) => make('div', { class: 'sample' }, make('pre', { tabindex: '0' }, make('code', {}, text)),
  make('button', { type: 'button', class: 'plain', click: async (event) => {
    const button = event.currentTarget
    try { await navigator.clipboard.writeText(text); button.textContent = 'Copied' } catch { button.textContent = 'Select and copy' }
    setTimeout(() => { button.textContent = 'Copy' }, 1500)
  } }, 'Copy'))
const pretty = (value) => JSON.stringify(value, null, 2)

let api
const seen = { key: '', ns: '', ak: '', rec: '', etag: '' }
const resolve = (schema) => {
  if (!schema || !schema.$ref) return schema || {}
  const { $ref, ...beside } = schema
  return { ...$ref.split('/').slice(1).reduce((node, step) => node[step], api), ...beside }
}
const typeName = (given) => {
  const schema = resolve(given)
  if (schema.const !== undefined) return JSON.stringify(schema.const)
  if (schema.enum) return schema.enum.length > 8 ? 'text' : schema.enum.map((value) => JSON.stringify(value)).join(' | ')
  if (schema.anyOf) return [...new Set(schema.anyOf.map(typeName))].join(' | ')
  if (Array.isArray(schema.type)) return schema.type.map((type) => type === 'string' ? 'text' : type).join(' | ')
  if (schema.type === 'array') return 'list of ' + typeName(schema.items)
  return { string: schema.format === 'date-time' ? 'time' : 'text', integer: 'whole number', boolean: 'true | false' }[schema.type] || schema.type || 'any'
}
const limits = (schema) => {
  const parts = []
  const unit = schema.type === 'array' ? ' entries' : schema.type === 'string' ? ' characters' : ''
  const low = schema.minimum ?? schema.minItems ?? schema.minLength, high = schema.maximum ?? schema.maxItems ?? schema.maxLength
  const far = high === undefined || high >= Number.MAX_SAFE_INTEGER
  if (low && !far) parts.push(low + ' to ' + high + unit)
  else if (!far) parts.push('at most ' + high + unit)
  if (schema.default !== undefined) parts.push('default ' + JSON.stringify(schema.default))
  return parts.join(', ')
}
const field = (name, given, required, depth) => {
  const schema = resolve(given)
  const inner = schema.type === 'array' ? resolve(schema.items) : schema
  return make('div', {}, make('dt', {}, make('b', {}, name), make('span', {}, typeName(given)),
    required ? make('span', { class: 'required' }, 'required') : null, make('span', {}, limits(schema))),
  make('dd', {}, prose(schema.description), inner.properties && depth < 3 ? fields(inner, depth + 1) : null))
}
const fields = (given, depth) => {
  const schema = resolve(given)
  if (schema.anyOf) return make('div', {}, schema.anyOf.map((form, index) => [make('p', { class: 'facts' }, index ? 'or: ' : '', prose(resolve(form).description)), fields(form, depth)]).flat())
  return make('dl', { class: 'fields' }, Object.entries(schema.properties || {}).map(([name, item]) => field(name, item, (schema.required || []).includes(name), depth)))
}

const errorList = (operation) => make('ul', { class: 'errors-list' }, Object.entries(operation.responses).filter(([status]) => status >= '400').flatMap(([status, response]) =>
  Object.keys(response.content['application/problem+json'].examples).map((code) => make('li', {}, make('span', { class: 'quiet' }, status),
    make('span', {}, make('a', { href: '/docs/errors#' + code }, code), ' ', api['x-problems'][code].title)))))

const remember = (value) => {
  if (Array.isArray(value)) { if (value.length) remember(value[0]); return }
  if (!value || typeof value !== 'object') return
  const note = (id) => { const found = /^(key|ns|ak|rec)_/.exec(typeof id === 'string' ? id : ''); if (found) seen[found[1]] = id }
  for (const name of ['id', 'key_id', 'record_id']) note(value[name])
  for (const name of ['keys', 'namespaces', 'api_keys', 'logs', 'signatures']) remember(value[name])
  for (const input of document.querySelectorAll('input[data-kind]')) if (!input.dataset.typed && seen[input.dataset.kind]) input.value = seen[input.dataset.kind]
  // An example names keys that are not on this instance: where one was seen, it stands in.
  if (seen.key) for (const box of document.querySelectorAll('textarea')) if (!box.dataset.typed) box.value = box.value.replace(/key_01h455vb4pex5vsknk084sn02[qr]/g, seen.key)
}
const kindOf = (path) => path.startsWith('/v1/keys/') ? 'key' : path.startsWith('/v1/namespaces/') ? 'ns' : path.startsWith('/v1/api-keys/') ? 'ak' : 'rec'

const send = async (form, method, path, operation, answer) => {
  let target = path
  const query = new URLSearchParams(), headers = {}
  for (const input of form.querySelectorAll('[data-in]')) {
    const value = input.value.trim()
    if (input.dataset.in === 'path') target = target.replace('{' + input.name + '}', encodeURIComponent(value))
    else if (value && input.dataset.in === 'query') query.set(input.name, value)
    else if (value && input.dataset.in === 'header') headers[input.name] = value
  }
  if (operation['x-scope']) {
    const token = byName('api-key').value.trim()
    if (!token) { answer.replaceChildren(make('p', { class: 'no' }, 'Put an API key into the field at the top of the page first.')); byName('api-key').focus(); return }
    headers.Authorization = 'Bearer ' + token
  }
  const body = form.querySelector('textarea')
  if (body) headers['Content-Type'] = 'application/json'
  if (method === 'DELETE' && !confirm(operation.summary + '? This goes to the real instance.')) return
  if (operation['x-idempotent']) headers['Idempotency-Key'] = [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  const button = form.querySelector('button[type=submit]')
  button.disabled = true
  const began = performance.now()
  try {
    const text = query.toString()
    const response = await fetch(target + (text ? '?' + text : ''), { method, headers, body: body ? body.value : undefined, credentials: 'omit', redirect: 'error' })
    const raw = await response.text()
    const took = Math.round(performance.now() - began)
    let shown = raw
    try { const value = JSON.parse(raw); shown = pretty(value); if (response.ok) remember(value) } catch {}
    if (response.headers.get('etag')) { seen.etag = response.headers.get('etag'); for (const input of document.querySelectorAll('input[name=If-Match]')) if (!input.dataset.typed) input.value = seen.etag }
    const code = response.ok ? null : (() => { try { return JSON.parse(raw).code } catch { return null } })()
    answer.replaceChildren(make('p', { class: 'line' }, make('span', { class: response.ok ? 'ok' : 'no' }, response.status + ' ' + response.statusText), ' in ' + took + ' ms ',
      code && api['x-problems'][code] ? make('a', { href: '/docs/errors#' + code }, code) : '', ' ', make('span', { class: 'quiet' }, response.headers.get('x-request-id') || '')),
    code && api['x-problems'][code] ? make('p', { class: 'line' }, prose(api['x-problems'][code].fix)) : '', shown ? sample(shown.slice(0, 100000)) : '')
  } catch (error) {
    answer.replaceChildren(make('p', { class: 'no' }, 'No answer: the instance could not be reached.'))
  } finally { button.disabled = false }
}

const tryForm = (method, path, operation, parameters) => {
  const answer = make('div', { class: 'answer', 'aria-live': 'polite' })
  const typed = (event) => { event.currentTarget.dataset.typed = event.currentTarget.value ? 'yes' : '' }
  const inputs = parameters.filter((item) => item.in !== 'header' || item.name === 'If-Match').map((item) => {
    const schema = resolve(item.schema)
    const settings = { name: item.name, 'data-in': item.in, required: item.required, input: typed, autocomplete: 'off', spellcheck: 'false' }
    const control = schema.enum
      ? make('select', settings, make('option', { value: '' }, ''), schema.enum.map((value) => make('option', { value }, value)))
      : make('input', { ...settings, placeholder: item.example ?? '', 'data-kind': item.in === 'path' ? kindOf(path) : null, value: item.name === 'If-Match' ? '*' : item.required && item.in === 'query' ? item.example ?? '' : '' })
    return make('label', {}, make('span', {}, make('code', {}, item.name), item.required ? '' : ' optional'), control)
  })
  const content = operation.requestBody && operation.requestBody.content['application/json']
  const example = content ? pretty(content.example) : ''
  const area = content ? make('label', {}, make('span', {}, 'Body'), make('textarea', { input: typed, rows: String(Math.min(16, example.split('\\n').length + 1)), spellcheck: 'false' }, example)) : null
  const form = make('form', { class: 'try', submit: (event) => { event.preventDefault(); send(event.currentTarget, method, path, operation, answer) } },
    make('div', {}), inputs, area, make('div', { class: 'row' }, make('button', { type: 'submit' }, 'Send request'),
      make('span', { class: 'facts' }, operation['x-scope'] ? 'With the API key above, to this instance.' : 'To this instance.')), answer)
  return make('details', { class: 'wide' }, make('summary', {}, 'Try it'), form)
}

const article = (method, path, operation) => {
  const parameters = operation.parameters.map(resolve)
  const own = parameters.filter((item) => item.name !== 'X-Request-Id')
  const success = Object.entries(operation.responses).find(([status]) => status < '300')
  const answered = success[1].content && success[1].content['application/json']
  const content = operation.requestBody && operation.requestBody.content['application/json']
  return make('article', { id: operation.operationId }, make('header', {}, make('h3', {}, operation.summary), make('p', { class: 'path' }, make('span', { class: 'method' }, method), path)),
    tryForm(method, path, operation, parameters),
    make('div', {}, paragraphs(operation.description),
      make('p', { class: 'facts' }, operation['x-scope'] ? ['Scope ', make('code', {}, operation['x-scope'])] : 'No credentials', operation['x-idempotent'] ? [' · takes ', make('code', {}, 'Idempotency-Key')] : null),
      own.length ? [make('h4', {}, 'Parameters'), make('dl', { class: 'fields' }, own.map((item) => field(item.name, { ...item.schema, description: item.description }, item.required, 3)))] : null,
      content ? [make('h4', {}, 'Body'), fields(content.schema, 0)] : null,
      answered ? make('details', {}, make('summary', {}, 'Fields of the answer'), fields(answered.schema, 0)) : null,
      make('details', {}, make('summary', {}, 'Problems it can answer'), errorList(operation))),
    make('div', {}, operation['x-codeSamples'].map((item) => [make('h4', {}, item.label), sample(item.source)]).flat(),
      make('h4', {}, 'Answer ' + success[0]), answered ? sample(pretty(answered.example)) : make('p', { class: 'quiet' }, success[1].content ? Object.keys(success[1].content).join(', ') : 'No body.')))
}

const build = () => {
  const main = byName('main'), side = byName('routes')
  document.title = api.info.title + ' API'
  main.replaceChildren(make('div', { class: 'intro' }, make('h1', {}, api.info.title + ' API'), make('p', { class: 'quiet' }, 'Version ' + api.info.version + ' · ', make('a', { href: '/openapi.json' }, 'openapi.json'), ' · ', make('a', { href: '/docs/errors' }, 'errors')), paragraphs(api.info.description),
    make('p', {}, 'The examples read ', make('code', {}, 'POPSIGNER_URL'), ' and ', make('code', {}, 'POPSIGNER_API_KEY'), ' from the environment:'), sample('export POPSIGNER_URL=' + location.origin + '\\nexport POPSIGNER_API_KEY=psk_live_…'),
    make('details', {}, make('summary', {}, 'Scopes'), make('dl', { class: 'fields' }, Object.entries(api['x-scopes']).map(([name, text]) => make('div', {}, make('dt', {}, make('b', {}, name)), make('dd', {}, prose(text))))))))
  for (const tag of api.tags) {
    const list = make('ul', {})
    main.append(make('h2', { class: 'group', id: 'group-' + tag.name.toLowerCase().replaceAll(' ', '-') }, tag.name), make('p', { class: 'quiet' }, tag.description))
    for (const [path, operations] of Object.entries(api.paths)) for (const [method, operation] of Object.entries(operations)) {
      if (operation.tags[0] !== tag.name) continue
      main.append(article(method.toUpperCase(), path, operation))
      list.append(make('li', {}, make('a', { href: '#' + operation.operationId, click: () => { if (matchMedia('(max-width: 60rem)').matches) byName('side').open = false } }, make('span', { class: 'method' }, method.toUpperCase()), operation.summary)))
    }
    side.append(make('h2', {}, tag.name), list)
  }
  if (location.hash) { const target = byName(decodeURIComponent(location.hash.slice(1))); if (target) target.scrollIntoView() }
}
if (!matchMedia('(max-width: 60rem)').matches) byName('side').open = true
fetch('/openapi.json', { credentials: 'omit' }).then((response) => { if (!response.ok) throw new Error(); return response.json() }).then((document) => { api = document; build() })
  .catch(() => byName('main').replaceChildren(make('p', { class: 'no' }, 'The description could not be loaded. Reload the page, or read /openapi.json.')))
`
