/** Ctrl-C and SIGTERM for commands that run until they are stopped. */

import { EXIT, type ExitCode } from './exit.ts'

/** Resolves at the first signal with the exit code it means. A second one ends the process at once. */
export function stopSignal(): Promise<ExitCode> {
  const signals = [
    ['SIGINT', EXIT.interrupted],
    ['SIGTERM', EXIT.terminated],
  ] as const
  return new Promise((resolve) => {
    let stopping = false
    for (const [signal, code] of signals) {
      process.on(signal, () => {
        if (stopping) process.exit(code)
        stopping = true
        resolve(code)
      })
    }
  })
}
