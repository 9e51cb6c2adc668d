/** Where the server is, and where an API key may be sent. */

/**
 * Send API keys over plain HTTP to a host that is not this machine: whoever is on the way reads them. A symbol, so that
 * no JSON file and no environment variable can turn it on.
 */
export const allowPlainHttp: unique symbol = Symbol('popsigner.allowPlainHttp')

/**
 * The server's address without a slash at its end. `TypeError` for text that is no URL; `RangeError` for anything but
 * https, for http to another host than this machine (unless `plainHttp`), and for credentials, a query or a fragment in
 * it.
 */
export function readBaseUrl(url: string, plainHttp = false): string {
  if (typeof url !== 'string' || !URL.canParse(url))
    throw new TypeError('url: expected a URL such as https://keys.example.com')
  const parsed = new URL(url)
  if (parsed.protocol !== 'https:' && parsed.protocol !== 'http:') throw new RangeError('url: expected https')
  if (parsed.protocol === 'http:' && !plainHttp && !isLoopback(parsed.hostname))
    throw new RangeError('url: expected https, since plain http would show the API key to everyone on the way')
  if (parsed.username !== '' || parsed.password !== '') throw new RangeError('url: must hold no credentials')
  if (parsed.search !== '' || parsed.hash !== '') throw new RangeError('url: must have no query and no fragment')
  return `${parsed.origin}${parsed.pathname.replace(/\/+$/, '')}`
}

/** Whether a host name, as `URL` gives it, is this machine itself: `localhost`, 127.0.0.0/8 or ::1. */
export function isLoopback(hostname: string): boolean {
  // URL has brought other spellings of an IPv4 address (0x7f.1, 2130706433) into dotted form by now.
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(hostname)
}

/**
 * The path of a route with its parameters filled in. `TypeError` or `RangeError` for one that is missing or no segment.
 */
export function fillPath(template: string, params: Readonly<Record<string, unknown>> = {}): string {
  const names = [...template.matchAll(/\{([^}]+)\}/g)].map((match) => match[1] as string)
  for (const name of Object.keys(params))
    if (!names.includes(name)) throw new RangeError(`params.${name}: not in this path`)
  return template.replaceAll(/\{([^}]+)\}/g, (_, name: string) => {
    const value = params[name]
    if (typeof value !== 'string') throw new TypeError(`params.${name}: expected text`)
    // A dot segment would be resolved away, and lead to another route.
    if (value === '' || value === '.' || value === '..') throw new RangeError(`params.${name}: not an id`)
    if (!value.isWellFormed()) throw new RangeError(`params.${name}: not well-formed Unicode`)
    return encodeURIComponent(value)
  })
}

/**
 * The query string with its question mark, or nothing. What is `undefined` is left out. `TypeError` for an object or a
 * list.
 */
export function encodeQuery(query: Readonly<Record<string, unknown>> = {}): string {
  const search = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined) continue
    if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean')
      throw new TypeError(`query.${name}: expected text or a number`)
    search.set(name, String(value))
  }
  const text = search.toString()
  return text === '' ? '' : `?${text}`
}
