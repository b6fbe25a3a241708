/** Counts a vitest run. A file that could not be loaded and an error outside any test are failures too. */

import { relative } from 'node:path'
import { ROOT } from '../../build/build.ts'

/** The part of vitest's JSON report that is read. */
export interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly status: 'passed' | 'failed'
    readonly assertionResults: readonly { readonly status: string }[]
  }[]
}

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
  readonly skippedFiles: readonly { readonly file: string; readonly skipped: number }[]
}

export function countTests(report: Report | undefined, endedWell: boolean): Counts {
  let passed = 0
  let failed = 0
  let skipped = 0
  const skippedFiles: { file: string; skipped: number }[] = []
  for (const { name, status, assertionResults } of report?.testResults ?? []) {
    const failures = assertionResults.filter((test) => test.status === 'failed').length
    const passes = assertionResults.filter((test) => test.status === 'passed').length
    const others = assertionResults.length - failures - passes
    passed += passes
    failed += status === 'failed' ? Math.max(failures, 1) : failures
    skipped += others
    if (others > 0) skippedFiles.push({ file: relative(ROOT, name), skipped: others })
  }
  return { passed, failed: endedWell ? failed : Math.max(failed, 1), skipped, skippedFiles }
}
