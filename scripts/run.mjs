// node scripts/run.mjs <file.ts> [arguments]: runs a file of this clone under Node 24, with everything installed.
import { fail, install } from './installed.mjs'
import { run, translate } from './node24.mjs'

const [file, ...args] = process.argv.slice(2)
if (file === undefined) fail('usage: node scripts/run.mjs <file.ts> [arguments]')
await install({ dev: true })
translate()
run(file, args)
