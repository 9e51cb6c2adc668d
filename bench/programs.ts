import { type ChildProcess, fork } from 'node:child_process'
import { join } from 'node:path'

/** A program of this folder in a process of its own, which answers one question at a time. */
export interface Program {
  /** Sends a question and gives its answer. Rejects with the program's own words, or when it has ended. */
  ask<T>(question: object): Promise<T>
  /** Sends something that has no answer of its own. */
  tell(word: object): void
  /** The next answer, to what was told or to the start. */
  next<T>(): Promise<T>
  /** Ends it. */
  close(): Promise<void>
}

/** Starts `file`. It ends by itself when this process does, however that ends. */
export function startProgram(file: string): Program {
  const child: ChildProcess = fork(join(import.meta.dirname, file), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const arrived: { result?: unknown; error?: string }[] = []
  const waiting: { resolve: (value: never) => void; reject: (error: Error) => void }[] = []
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))

  function settle(): void {
    while (arrived.length > 0 && waiting.length > 0) {
      const { result, error } = arrived.shift() as { result?: never; error?: string }
      const one = waiting.shift()
      if (error === undefined) one?.resolve(result as never)
      else one?.reject(new Error(`${file}: ${error}`))
    }
  }

  child.on('message', (message: { result?: unknown; error?: string }) => {
    arrived.push(message)
    settle()
  })
  child.once('exit', (code, signal) => {
    for (const one of waiting.splice(0)) one.reject(new Error(`${file} ended (${signal ?? code})`))
  })

  function next<T>(): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (child.exitCode !== null || child.signalCode !== null) reject(new Error(`${file} has ended`))
      waiting.push({ resolve: resolve as (value: never) => void, reject })
      settle()
    })
  }

  return {
    next,
    tell: (word) => void child.send(word),
    ask(question) {
      child.send(question)
      return next()
    },
    async close() {
      if (child.connected) child.disconnect()
      const late = setTimeout(() => child.kill('SIGKILL'), 1_000)
      await ended
      clearTimeout(late)
    },
  }
}
