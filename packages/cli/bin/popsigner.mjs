#!/usr/bin/env node
// The popsigner command. Plain JavaScript, so that it starts on the machine's Node, whichever that is, and goes on under 24.
import { run } from '../../../scripts/node24.mjs'

run('packages/cli/src/main.ts', process.argv.slice(2))
