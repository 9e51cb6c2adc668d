import { problemCodes, problemOf } from './problems.ts'

const legend =
  'Every answer that is not a success is `application/problem+json` (RFC 9457) with `type`, `title`, `status`, `detail`, `code`, `request_id` and, for bad input, `errors[]` by field. Branch on `code`; it never changes. Codes marked as worth a retry may succeed when the same request is sent again after `Retry-After`.'

/** `docs/errors.md`, made from the table; a test holds the file against it. */
export function errorsMarkdown(): string {
  const parts = ['# Errors', legend]
  for (const code of problemCodes) {
    const { status, title, retry, cause, fix } = problemOf(code)
    parts.push(`## ${code}`, `${status} · ${title}${retry ? ' · Retry: yes.' : ''}`, `Cause: ${cause}`, `Fix: ${fix}`)
  }
  return `${parts.join('\n\n')}\n`
}

/** The body of `/docs/errors`: one section for each code, its id the code, without script. */
export function errorsBody(): string {
  const sections = problemCodes.map((code) => {
    const { status, title, retry, cause, fix } = problemOf(code)
    return `<section class="problem" id="${code}"><h2><a href="#${code}">${code}</a></h2>
<p class="facts"><span class="status">${status}</span> ${escapeHtml(title)}${retry ? ' <span class="tag">worth a retry</span>' : ''}</p>
<dl><dt>Cause</dt><dd>${escapeHtml(cause)}</dd><dt>Fix</dt><dd>${escapeHtml(fix)}</dd></dl></section>`
  })
  const text = escapeHtml(legend).replace(/`([^`]+)`/g, '<code>$1</code>')
  return `<main class="errors"><p><a href="/docs">POPSigner API</a></p><h1>Errors</h1><p>${text}</p>\n${sections.join('\n')}</main>`
}

function escapeHtml(value: string): string {
  return value.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
