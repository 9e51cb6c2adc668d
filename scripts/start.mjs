// npm start: installs what running needs, then hands over to the supervisor. Runs on Node 20.
import { install } from './installed.mjs'
import { run, translate } from './node24.mjs'

await install({ dev: false })
translate()
run('packages/server/src/supervise/start.ts', process.argv.slice(2))
