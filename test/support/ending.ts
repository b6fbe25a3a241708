/**
 * Undoes at the end of a test, or of the file when no test is running, what the supports have started. The set-up of
 * every file (fileRun.ts) calls `endFile`: files of a worker share their modules.
 */

import { onTestFinished, TestRunner } from 'vitest'

type Undo = () => Promise<void> | void

const undone: Undo[] = []

/** The newest is undone first. Each support calls this for what it starts, so a test need not clean up. */
export function atEnd(undo: Undo): void {
  if (TestRunner.getCurrentTest() === undefined) undone.push(undo)
  else onTestFinished(undo)
}

export async function endFile(): Promise<void> {
  const failures: unknown[] = []
  for (let undo = undone.pop(); undo; undo = undone.pop()) {
    try {
      await undo()
    } catch (error) {
      failures.push(error)
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'what the file started did not end cleanly')
}
