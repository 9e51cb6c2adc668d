import { docsScript } from './docs-script.ts'
import { docsStyle } from './docs-style.ts'
import { errorsBody } from './errors-page.ts'

/**
 * `/docs`: the reference, from which each route can be tried. One page with its own style and script, built by the script
 * from `/openapi.json`; serve it with `docsPolicy`.
 */
export function docsPage(): string {
  return page(
    'POPSigner API',
    `<a class="skip" href="#main">To the reference</a>
<header class="bar"><strong>POPSigner API</strong>
<label for="api-key">API key <input id="api-key" type="password" autocomplete="off" spellcheck="false" placeholder="psk_live_…" title="Kept in this page until it is closed; sent to this instance only"></label></header>
<div class="layout"><nav class="side" aria-label="Routes"><details id="side"><summary>Routes</summary><div id="routes"></div></details></nav>
<main id="main"><p class="quiet">Reading /openapi.json …</p><noscript><p>This page is built from <a href="/openapi.json">/openapi.json</a> by a script; the document can be read without it, and so can <a href="/docs/errors">the errors</a>.</p></noscript></main></div>`,
    `<script>${docsScript}</script>`,
  )
}

/** `/docs/errors`: every problem code with cause and fix, as a page without script. */
export function errorsPage(): string {
  return page('POPSigner errors', errorsBody(), '')
}

/**
 * The Content-Security-Policy of both pages: nothing but their own style and script by hash, and requests to this origin.
 * `sha256Base64` answers the standard base64 of SHA-256 over the UTF-8 of a text.
 */
export function docsPolicy(sha256Base64: (text: string) => string): string {
  return [
    "default-src 'none'",
    `style-src 'sha256-${sha256Base64(docsStyle)}'`,
    `script-src 'sha256-${sha256Base64(docsScript)}'`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ].join('; ')
}

function page(title: string, body: string, script: string): string {
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title><style>${docsStyle}</style></head>
<body>${body}${script}</body></html>
`
}
