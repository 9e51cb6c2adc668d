// npm run check: types, format, lint, and what nobody uses.
import { check } from './checks.mjs'
import { install } from './installed.mjs'

await install({ dev: true })
check()
