/** A progress bar on standard error: only where that is a terminal, never in the way of what a program reads. */

import { fstatSync } from 'node:fs'
import { createRequire } from 'node:module'

export interface ProgressBar {
  update(done: number, total?: number): void
  stop(): void
}

const NONE: ProgressBar = { update() {}, stop() {} }

/** `total` is 0 while it is not known: then only what is done is counted. */
export function startProgress(what: string, unit: string, total: number, wanted: boolean): ProgressBar {
  if (!wanted || !process.stderr.isTTY) return NONE
  const format = total > 0 ? `${what} [{bar}] {percentage}% · {value} of {total} ${unit}` : `${what} · {value} ${unit}`
  // Most commands show none, and start sooner without it.
  const { Presets, SingleBar } = createRequire(import.meta.url)('cli-progress') as typeof import('cli-progress')
  const bar = new SingleBar(
    { format, stream: process.stderr, hideCursor: null, fps: 8, clearOnComplete: true },
    Presets.legacy,
  )
  bar.start(total, 0)
  return {
    update(done, newTotal) {
      if (newTotal !== undefined) bar.setTotal(newTotal)
      bar.update(done)
    },
    stop: () => bar.stop(),
  }
}

/** Bytes that standard input holds, where it is a file; 0 where nobody knows. */
export function inputBytes(): number {
  try {
    const stat = fstatSync(0)
    return stat.isFile() ? stat.size : 0
  } catch {
    return 0
  }
}
