import { CommanderError } from 'commander'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { EXIT, errorLine, exitCodeOf } from '../../cli/exit.ts'
import { readJobDraft } from '../../cli/input/jobDrafts.ts'
import { program } from '../../cli/program.ts'
import { createTestHub, type TestHub } from '../../server/testing.ts'
import { until } from '../support/until.ts'

let hub: TestHub

beforeAll(async () => {
  hub = await createTestHub({ queues: { 'file.queue': { rate: 7 } } })
})

afterAll(async () => {
  await hub.close()
})

/** Runs a command in this process, as starting one for each would take most of the time. */
async function cli(...args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const written = { stdout: '', stderr: '' }
  const spies = (['stdout', 'stderr'] as const).map((name) =>
    vi.spyOn(process[name], 'write').mockImplementation(((text: string, taken?: () => void) => {
      written[name] += text
      taken?.()
      return true
    }) as never),
  )
  try {
    await (await program()).parseAsync([...args, '--url', hub.url], { from: 'user' })
    return { code: EXIT.ok, ...written }
  } catch (error) {
    const stderr = `${written.stderr}${errorLine(error, args.includes('--json'))}\n`
    const code = error instanceof CommanderError ? EXIT.usage : exitCodeOf(error)
    return { code, stdout: written.stdout, stderr }
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
}

async function refused(...args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await cli(...args)
  expect({ code, stdout }, args.join(' ')).toEqual({ code: EXIT.refused, stdout: '' })
  return stderr
}

const names = async (kind: 'topics' | 'queues') =>
  [...(await (await fetch(`${hub.url}/v1/${kind}`)).text()).matchAll(/"(?:topic|queue)":"([^"]*)"/g)].map(
    ([, name]) => name,
  )

describe('topics', () => {
  it('are dropped, once that is confirmed', async () => {
    await hub.hub.topic('drop.me').publishAll([{ data: 1 }, { data: 2 }])
    const unsure = await cli('drop', 'drop.me')
    expect(unsure).toMatchObject({
      code: EXIT.usage,
      stderr: 'reprise: drop deletes all events of drop.me for good; give --yes to do it\n',
    })
    expect(await cli('drop', 'drop.me', '--yes')).toMatchObject({ code: EXIT.ok, stdout: 'dropped drop.me\n' })
    expect(await refused('topics', 'drop.me')).toMatch(/^reprise: there is no topic drop.me/)
    expect(await refused('drop', 'drop.me', '--yes')).toMatch(/^reprise: there is no topic drop.me/)
  })
})

describe('queues', () => {
  it('are dropped when nobody uses them, once that is confirmed', async () => {
    const jobs = hub.hub.queue('drop.jobs')
    await jobs.send(1)
    expect(await cli('drop', 'drop.jobs', '--queue')).toMatchObject({
      code: EXIT.usage,
      stderr: 'reprise: drop deletes the queue drop.jobs and what it remembers for good; give --yes to do it\n',
    })
    expect(await refused('drop', 'drop.jobs', '--queue', '--yes')).toBe(
      'reprise: the queue drop.jobs is in use: it has 1 job (purge them, or let them be worked off)\n',
    )
    await cli('purge', 'drop.jobs', '--yes')
    const dropped = await cli('drop', 'drop.jobs', '--queue', '--yes', '--json')
    expect(dropped).toMatchObject({ code: EXIT.ok, stdout: '{"queue":"drop.jobs","dropped":true}\n' })
    expect(await names('queues')).not.toContain('drop.jobs')
    expect(await refused('drop', 'drop.jobs', '--queue', '--yes')).toMatch(/^reprise: there is no queue drop.jobs/)
    // Its sender goes on as before.
    await jobs.send(2)
    expect((await cli('queues', 'drop.jobs', '--json')).stdout).toContain('"sent":1')
  })
})

describe('cursors', () => {
  it('are moved to every kind of place, and forgotten', async () => {
    const { epoch } = await hub.hub.topic('seek').publishAll(Array.from({ length: 9 }, (_, n) => ({ data: n + 1 })))
    const next = async () => {
      const { stdout } = await cli('sub', 'seek', '--client', 'me', '--from', 'start', '--count', '1', '--json')
      return (JSON.parse(stdout) as { offset: number }).offset
    }
    expect(await next()).toBe(1)
    for (const [place, offset] of [
      [`${epoch}:5`, 6],
      ['last:2', 8],
      ['start', 1],
      ['1h', 1],
      ['2020-01-01', 1],
    ] as const) {
      const { code, stdout } = await cli('seek', 'seek', 'me', place)
      expect({ code, stdout }).toEqual({
        code: EXIT.ok,
        stdout: `me goes on behind event ${offset - 1} of seek (${epoch}:${offset - 1})\n`,
      })
      expect(await next()).toBe(offset)
    }
    const { stdout } = await cli('seek', 'seek', 'me', 'end', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ topic: 'seek', client: 'me', position: { epoch, offset: 9 } })
    expect((await cli('forget', 'seek', 'me')).stdout).toBe('forgot the cursor of me on seek\n')
    expect((await cli('cursors', 'seek')).stdout).toBe('no cursors\n')
    expect(await refused('forget', 'seek', 'me')).toBe('reprise: me has no cursor on seek\n')
    const wrong = await cli('seek', 'seek', 'me', '5')
    expect(wrong).toMatchObject({ code: EXIT.usage, stderr: expect.stringContaining('has to be epoch:offset') })
  })
})

describe('jobs', () => {
  it('that wait are removed; others are refused with the reason', async () => {
    await hub.hub.queue('remove').sendAll([
      { data: 1, id: 'held' },
      { data: 2, id: 'a' },
    ])
    await fetch(`${hub.url}/v1/queues/remove/claims`, { method: 'POST' })
    expect((await cli('remove', 'remove', 'a')).stdout).toBe('removed a from remove\n')
    expect(await refused('remove', 'remove', 'a')).toMatch(/^reprise: there is no job a in remove/)
    expect(await refused('remove', 'remove', 'held')).toBe(
      'reprise: the job held is held; only what waits is removed\n',
    )
  })

  it('that are delayed are run now', async () => {
    const queue = hub.hub.queue('run')
    await queue.send(1, { id: 'a', delayMs: 60_000 })
    expect((await cli('run', 'run', 'a')).stdout).toBe('a in run is ready now\nwhy       nobody consumes run\n')
    expect((await cli('run', 'run', 'a')).stdout).toMatch(/^a in run was ready already\n/)
    expect(await refused('run', 'run', 'b')).toMatch(/^reprise: there is no job b in run/)
  })

  it('are explained in lines that can be read', async () => {
    await hub.hub.queue('explained').send({ to: 'ann' }, { id: 'a', key: 'ann' })
    const { stdout } = await cli('explain', 'explained', 'a')
    expect(stdout).toMatch(/^job a in explained: ready$/m)
    expect(stdout).toMatch(/^why +nobody consumes explained$/m)
    expect(stdout).toMatch(/^tried +0 failed attempts, delivered 0 times$/m)
    const [job] = JSON.parse(`[${(await cli('explain', 'explained', 'a', '--json')).stdout}]`) as object[]
    expect(job).toMatchObject({ id: 'a', why: [{ reason: 'no_consumer' }] })
    let telling: Promise<unknown> | undefined
    const worker = hub.hub.queue('explained').consume(async (held) => {
      telling ??= Promise.all([held.progress({ part: 1, of: 4 }), held.log('began\u001b[2J')])
      await telling
      await new Promise((resolve) => held.signal.addEventListener('abort', resolve))
    })
    await until(() => telling !== undefined, { what: 'the handler' })
    await telling
    const held = (await cli('explain', 'explained', 'a')).stdout
    expect(held).toMatch(/^progress +\{"part":1,"of":4\}$/m)
    expect(held).toMatch(/^log +\S+Z began\\u001b\[2J$/m)
    const line = (await cli('jobs', 'explained', '--state', 'held', '--json')).stdout
    // It can be sent again as it is printed.
    expect(readJobDraft(line)).toEqual({ id: 'a', key: 'ann', priority: 4, data: { to: 'ann' } })
    await worker.close({ drainMs: 0 })
  })
})

describe('settings', () => {
  it('of a topic are stored field by field and shown with where they are from', async () => {
    await hub.hub.topic('set.topic').publish(1)
    const set = (...fields: string[]) => cli('settings', 'set', 'topic', 'set.topic', ...fields, '--json')
    expect(JSON.parse((await set('retain.events=5', 'retain.age=7d')).stdout)).toMatchObject({
      stored: { retain: { events: 5, ageMs: 604_800_000 } },
      settings: { retain: { events: 5, ageMs: 604_800_000, bytes: 2 ** 30 } },
    })
    expect(JSON.parse((await set('retain.events=', 'retain.bytes=unlimited')).stdout)).toMatchObject({
      stored: { retain: { ageMs: 604_800_000, bytes: 'unlimited' } },
      settings: { retain: { events: 1_000_000 } },
    })
    const { stdout } = await cli('settings', 'get', 'topic', 'set.topic')
    expect(stdout).toMatch(/^retain\.events +1000000$/m)
    expect(stdout).toMatch(/^retain\.bytes +unlimited {2}\(stored\)$/m)
    expect((await set('retain.ageMs=', 'retain.bytes=')).code).toBe(EXIT.ok)
    expect(JSON.parse((await cli('settings', 'get', 'topic', 'set.topic', '--json')).stdout)).toMatchObject({
      stored: {},
    })
  })

  it('of a queue and of a pattern are stored; wrong ones are refused with what would be right', async () => {
    const note =
      'reprise: there is no queue set.queue: nothing was sent to it; the settings are stored and wait for it\n'
    const set = await cli('settings', 'set', 'queue', 'set.queue', 'leaseMs=1m', 'rate=2.5')
    expect(set).toMatchObject({ code: EXIT.ok, stderr: note })
    expect(set.stdout).toMatch(/^leaseMs +60000 {2}\(stored\)$/m)
    const pattern = await cli('settings', 'set', 'queue', 'mail.*', 'maxAttempts=3')
    expect(pattern).toMatchObject({ code: EXIT.ok, stderr: '', stdout: 'maxAttempts  3  (stored)\n' })
    expect((await cli('settings', 'get', 'queue', 'file.queue')).stdout).toMatch(/^rate +7$/m)
    expect(await refused('settings', 'set', 'queue', 'set.queue', 'lease=5')).toContain('did you mean leaseMs?')
    expect(await refused('settings', 'set', 'queue', 'set.queue', 'ttlMs=soon')).toContain('500ms, 30s, 5m, 1h or 7d')
    expect(await refused('settings', 'get', 'topic', 'a b')).toContain('not a name pattern')
    expect(await cli('settings', 'set', 'queue', 'set.queue', 'rate')).toMatchObject({ code: EXIT.usage })
    expect(await names('queues')).not.toContain('set.queue')
  })
})

describe('schedules', () => {
  it('are put, listed, shown, run and removed', async () => {
    const when = ['--cron', '0 9 * * MON-FRI', '--zone', 'Europe/Berlin', '--key', 'k', '--limit', '7']
    const put = await cli('schedules', 'put', 'reports', 'daily', '{"a":1}', ...when)
    expect(put).toMatchObject({ code: EXIT.ok, stderr: '' })
    expect(put.stdout).toMatch(/^timeZone +Europe\/Berlin$/m)
    expect(put.stdout).toMatch(/^next +(20\d\d-\S+Z ?){5}$/m)
    const often = await cli(
      'schedules',
      'put',
      'reports',
      'often',
      'word',
      '--every',
      '90m',
      '--missed',
      'all',
      '--json',
    )
    expect(JSON.parse(often.stdout)).toMatchObject({ everyMs: 5_400_000, missed: 'all', draft: { data: 'word' } })
    const listed = await cli('schedules', 'reports')
    expect(listed.stdout).toMatch(/^daily +0 9 \* \* MON-FRI +Europe\/Berlin +20\S+Z +- +0 +0$/m)
    expect(listed.stdout).toMatch(/^often +every 5400000ms +- /m)
    expect((await cli('schedules', 'list', 'reports', 'daily')).stdout).toMatch(/^limit +7$/m)
    const ran = await cli('schedules', 'run', 'reports', 'daily', '--json')
    const { id } = JSON.parse(ran.stdout) as { id: string }
    expect((await cli('explain', 'reports', id, '--json')).stdout).toContain('reprise-schedule')
    expect(await cli('schedules', 'remove', 'reports', 'daily')).toMatchObject({ stdout: 'removed daily of reports\n' })
    for (const call of [
      ['remove', 'reports', 'daily'],
      ['run', 'reports', 'daily'],
      ['reports', 'daily'],
    ]) {
      expect(await refused('schedules', ...call)).toBe('reprise: reports has no schedule daily\n')
    }
    await cli('schedules', 'remove', 'reports', 'often')
    expect((await cli('schedules', 'reports')).stdout).toBe('no schedules in reports\n')
    for (const wrong of [[], ['--cron', '* * * * *', '--every', '1s'], ['--every', 'often'], ['--start', 'soon']]) {
      expect(await cli('schedules', 'put', 'reports', 'x', '1', ...wrong)).toMatchObject({ code: EXIT.usage })
    }
    expect(await refused('schedules', 'put', 'reports', 'x', '1', '--cron', 'x')).toContain('five fields')
  })
})

describe('a name that the hub does not know', () => {
  it('is told with the near one by every command that reads or manages, and nothing comes into being', async () => {
    await hub.hub.queue('emails').send(1)
    await hub.hub.topic('orders').publish(1)
    const queueCalls = [
      ['queues', 'emials'],
      ['jobs', 'emials'],
      ['jobs', 'emials', '--state', 'dead'],
      ['jobs', 'emials/dead'],
      ['explain', 'emials', 'a'],
      ['remove', 'emials', 'a'],
      ['pause', 'emials'],
      ['resume', 'emials'],
      ['purge', 'emials', '--yes'],
      ['redrive', 'emials'],
      ['schedules', 'emials'],
    ]
    const before = await names('queues')
    for (const call of queueCalls) {
      expect(await refused(...call)).toBe(
        'reprise: there is no queue emials: nothing was sent to it; did you mean emails?\n',
      )
      const { error } = JSON.parse(await refused(...call, '--json')) as { error: object }
      expect(error).toMatchObject({ code: 'not_found', retryable: false })
    }
    expect(await names('queues')).toEqual(before)
    for (const call of [
      ['topics', 'ordres'],
      ['cursors', 'ordres'],
      ['tail', 'ordres'],
      ['drop', 'ordres', '--yes'],
      ['seek', 'ordres', 'a', 'end'],
    ]) {
      expect(await refused(...call)).toBe(
        'reprise: there is no topic ordres: nothing was published to it; did you mean orders?\n',
      )
    }
    expect(await names('topics')).not.toContain('ordres')
    expect((await cli('jobs', 'emails/dead')).stdout).toBe('no ready jobs in emails/dead\n')
  })
})
