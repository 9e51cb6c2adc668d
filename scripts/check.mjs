// npm run check: types, format and lint.
import { check } from './checks.mjs'
import { install } from './installed.mjs'

await install({ dev: true })
check()
