import { run } from './run.ts'

const controller = new AbortController()
const words = process.argv.slice(2)

// serve ends by signals in its own way; everything else says what was done and leaves.
if (words[0] !== 'serve') {
  process.on('SIGINT', () => controller.abort(new Error('interrupted')))
}
// Whoever read us may be gone, as with `| head`.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit()
  throw error
})

const code = await run(
  words,
  {
    environment: process.env,
    directory: process.cwd(),
    stdin: process.stdin,
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    inIsTerminal: process.stdin.isTTY === true,
    outIsTerminal: process.stdout.isTTY === true,
    errIsTerminal: process.stderr.isTTY === true,
    columns: process.stdout.columns ?? process.stderr.columns ?? 80,
  },
  controller.signal,
)
process.exitCode = code
// What was abandoned (an interrupted request, an idle connection) does not hold the process.
await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((done) => stream.write('', done))))
process.exit()
