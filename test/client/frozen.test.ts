/** A worker whose program was stopped for longer than its leases begins nothing that others may have finished. */

import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { atEnd } from '../support/ending.ts'
import { startHub } from '../support/hub/hub.ts'
import { open } from '../support/sdk/handles.ts'
import { until } from '../support/until.ts'

/** Works one job at a time and says which it begins; a job `hold` takes until the end. */
const PROGRAM = `
import { connect } from ${JSON.stringify(fileURLToPath(new URL('../../client/index.ts', import.meta.url)))}
const worker = connect(process.argv[1], { quiet: true }).queue('work').consume(async ({ data }) => {
  console.log('began ' + data)
  if (data === 'hold') await new Promise(() => {})
}, { concurrency: Number(process.argv[2]), leaseMs: 400 })
worker.onStatus(({ state }) => console.log(state))
`

async function startWorker(url: string, concurrency: number) {
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', '--input-type=module', '-e', PROGRAM, url, `${concurrency}`],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  atEnd(() => void child.kill('SIGKILL'))
  let text = ''
  child.stdout.on('data', (part) => {
    text += part
  })
  await until(() => text.includes('working'), { deadlineMs: 25_000 })
  return {
    began: () => [...text.matchAll(/began (.*)/g)].map(([, what]) => what),
    stop: () => child.kill('SIGSTOP'),
    go: () => child.kill('SIGCONT'),
  }
}

describe('a worker that was stopped for longer than its leases', () => {
  it.each([
    ['what was sent to it while it was idle', false],
    ['what was sent to it while it worked', true],
  ])('does not begin %s, when another has done it', async (_what, waits) => {
    const { url } = await startHub({ queues: { work: { reconnectGraceMs: 100 } } })
    const queue = open(url).queue('work')
    const frozen = await startWorker(url, waits ? 2 : 10)
    if (waits) {
      await queue.send('hold')
      await until(() => frozen.began().length === 1)
    }
    frozen.stop()
    await Promise.all([1, 2, 3].map((n) => queue.send(n)))
    const done: unknown[] = []
    open(url)
      .queue('work')
      .consume(({ data }) => void done.push(data), { concurrency: 10 })
    await until(() => [1, 2, 3].every((n) => done.includes(n)), { deadlineMs: 20_000, seen: () => done })
    frozen.go()
    // It works again, and has begun what comes now alone.
    const late = open(url).queue('work')
    await late.send('after')
    await until(() => [...done, ...frozen.began()].includes('after'), { deadlineMs: 20_000 })
    await new Promise((resolve) => setTimeout(resolve, 500))
    expect(frozen.began().filter((what) => what !== 'after' && what !== 'hold')).toEqual([])
  })
})
