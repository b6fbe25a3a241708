/** How vitest runs the tests. `npm test` (test/support/run.ts) prepares what they need and calls it. */

import { defineConfig, type TestProjectInlineConfiguration } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

const soak = process.env.REPRISE_SOAK === '1'
const timeoutMs = soak ? 30 * 60_000 : 30_000

/** More than there are processors where those are two: many tests wait. */
const WORKERS = 3

const everyFile = 'test/support/fileRun.ts'

/**
 * They stop the clock and count its timers, or look at what is loaded: what other files left behind would stand still, or
 * count with them.
 */
const STILL = 'test/{core/{log,schema/reader},client/{topics/outboxFaults,queues/send,queues/worker*}}.test.ts'

/** Small files that take long. Begun last, as small files are, they would be waited for alone. */
const LONG =
  /test\/(store\/(redis|lmdb)\/(cluster|conformance|faults|random)|architecture\/snippets|package\/package|fault\/(schedules|load\/many)|nodes\/nginx)\.test\.ts$/

class LongFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const isLong = ({ moduleId }: TestSpecification): boolean => LONG.test(moduleId)
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))]
  }
}

const common = {
  pool: 'forks',
  // Loading the hub and its libraries for every file anew takes a tenth of the whole run.
  isolate: false,
  setupFiles: [everyFile],
  testTimeout: timeoutMs,
  hookTimeout: timeoutMs,
} satisfies TestProjectInlineConfiguration['test']

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: WORKERS,
    sequence: { sequencer: LongFirst },
    projects: [
      {
        test: {
          ...common,
          name: 'main',
          include: ['test/**/*.test.ts'],
          exclude: ['test/browser/**', STILL],
          maxWorkers: WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...common,
          name: 'still',
          isolate: true,
          include: [STILL],
          maxWorkers: WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // The same promises on the other store.
        test: {
          ...common,
          name: 'redis',
          include: ['test/protocol/**/*.test.ts', 'test/client/{topics,queues}/hub.test.ts'],
          // What they try stands before any store.
          exclude: ['test/protocol/{flow,limits,toldLimits}.test.ts', 'test/protocol/access/**'],
          setupFiles: [everyFile, 'test/support/hub/redisRun.ts'],
          maxWorkers: WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // The same again on three nodes behind nginx: what may differ there, or all of it in the long run.
        test: {
          ...common,
          name: 'nodes',
          include: soak
            ? ['test/protocol/**/*.test.ts', 'test/client/topics/hub.test.ts']
            : [
                'test/protocol/topics/{cursors,publish}.test.ts',
                'test/protocol/queues/{consumers,queues,requests}.test.ts',
              ],
          // What it shows is of one node.
          exclude: ['test/protocol/{clients,console}.test.ts'],
          setupFiles: [everyFile, 'test/support/hub/nodesRun.ts'],
          maxWorkers: WORKERS,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // Two browsers at a time, and nothing else beside them: their tests watch the clock.
        test: {
          ...common,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          // Those that look at page after page take half of it where a machine is slow.
          testTimeout: 2 * timeoutMs,
          hookTimeout: 2 * timeoutMs,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
