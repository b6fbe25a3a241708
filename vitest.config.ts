/** How vitest runs the tests. `npm test` (test/support/run.ts) prepares what they need and calls it. */

import { defineConfig } from 'vitest/config'

const soak = process.env.REPRISE_SOAK === '1'
const timeoutMs = soak ? 30 * 60_000 : 30_000

const common = {
  pool: 'forks',
  testTimeout: timeoutMs,
  hookTimeout: timeoutMs,
} as const

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 3,
    projects: [
      {
        test: {
          ...common,
          name: 'main',
          include: ['test/**/*.test.ts'],
          exclude: ['test/browser/**'],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // The same promises on the other store.
        test: {
          ...common,
          name: 'redis',
          include: ['test/protocol/**/*.test.ts', 'test/client/{hub,queue-hub}.test.ts'],
          setupFiles: ['test/support/redis-run.ts'],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // The same again on three nodes behind nginx: what may differ there, or all of it in the long run.
        test: {
          ...common,
          name: 'nodes',
          include: soak
            ? ['test/protocol/**/*.test.ts', 'test/client/hub.test.ts']
            : ['test/protocol/{consumers,cursors,publish,queues,requests}.test.ts'],
          setupFiles: ['test/support/nodes-run.ts'],
          maxWorkers: 3,
          sequence: { groupOrder: 0 },
        },
      },
      {
        // One browser at a time, and nothing else beside it: its tests watch the clock.
        test: {
          ...common,
          name: 'browser',
          include: ['test/browser/**/*.test.ts'],
          maxWorkers: 1,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
})
