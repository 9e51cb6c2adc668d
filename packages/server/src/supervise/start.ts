/** `npm start`: makes an instance in an absent or empty data directory, then serves it. */
import { parseArgs } from 'node:util'
import { readConfig } from './config.ts'
import { inspectDataDirectory } from './data-directory.ts'
import { initInstance } from './init.ts'
import { checkPortFree } from './programs.ts'
import { Refusal } from './refusal.ts'
import { serve } from './serve.ts'

try {
  process.exit(await start(process.argv.slice(2)))
} catch (error) {
  if (!(error instanceof Refusal)) throw error
  process.stderr.write(`${error.message}\n`)
  process.exit(1)
}

async function start(args: string[]): Promise<number> {
  const config = readConfig(process.env, process.cwd(), readFlags(args))
  if (inspectDataDirectory(config.dataDirectory).kind !== 'instance') {
    // Nothing is made for a server that could not listen.
    await checkPortFree(config)
    const say = (line: string) => void process.stderr.write(`${line}\n`)
    say(`Making an instance in ${config.dataDirectory}`)
    await initInstance(config, say, { welcome: true })
  }
  return await serve(config)
}

function readFlags(args: string[]): { plainHttp: boolean; unlockedMemory: boolean } {
  try {
    const { values } = parseArgs({
      args,
      options: { 'insecure-plain-http': { type: 'boolean' }, 'insecure-unlocked-memory': { type: 'boolean' } },
    })
    return {
      plainHttp: values['insecure-plain-http'] ?? false,
      unlockedMemory: values['insecure-unlocked-memory'] ?? false,
    }
  } catch (error) {
    throw new Refusal((error as Error).message)
  }
}
