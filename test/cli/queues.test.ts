import { describe, expect, it } from 'vitest'
import { EXIT } from '../../cli/exit.ts'
import { joinQueues } from '../support/clients/jobs.ts'
import { queueCalls } from '../support/clients/queueCalls.ts'
import { startHub } from '../support/hub/hub.ts'
import { cliCommand, runCli, spawnHub, startChild } from '../support/hub/process.ts'
import { until } from '../support/until.ts'

const hub = await startHub({ queues: { '*': { backoffMs: 1 }, 'slow*': { backoffMs: '1h' } } })
const { ask, send, claim, bury, look, explain } = queueCalls(hub.url)

const cli = (args: readonly string[], input?: string) =>
  runCli([...args, '--url', hub.url], input === undefined ? {} : { input })

/** With the options of the command before `--`. */
const work = (args: readonly string[], command: readonly string[] = []) =>
  startChild(
    [...cliCommand(), 'work', ...args, '--url', hub.url, ...(command.length === 0 ? [] : ['--', ...command])],
    { group: true },
  )

const node = (script: string) => [process.execPath, '-e', script]
const linesOf = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)

describe('wrong use', () => {
  it.each<[string[], RegExp]>([
    [['send', 'q/dead', '1'], /^reprise: the queue "q\/dead" is not a name: .*\n$/],
    [['send', 'q', '1', '--priority', '10'], /^reprise: .*It has to be a whole number from 0 to 9\n$/],
    [['send', 'q', '1', '--attempts', '0'], /^reprise: .*It has to be a whole number of 1 or more\n$/],
    [['send', 'q', '1', '--backoff', 'linear:1s'], /^reprise: .*It has to be such as fixed:5s, exponential:1s, .*\n$/],
    [['send', 'q', '--id', 'x'], /^reprise: --id is for one job; lines carry theirs with --drafts\n$/],
    [['remove', 'q', '..'], /^reprise: .*No request over HTTP can name such a job; the SDK can, as .*\n$/],
    [['work', 'q', '--text'], /^reprise: --text is for a command\n$/],
    [['redrive', 'q', '--since', 'start'], /^reprise: start is not a time such as .*\n$/],
    [
      ['redrive', 'q', '--reason', 'gap'],
      /^reprise: .*max_attempts, rejected, expired or child: a gap stands for events that .*\n$/,
    ],
    [['redrive', 'q', '--reason', 'bored'], /^reprise: .*It has to be max_attempts, rejected, expired or child\b.*\n$/],
    [['purge', 'q'], /^reprise: purge removes what waits in q for good; give --yes to do it\n$/],
  ])('%j ends with 2 and one line', async (args, line) => {
    const { code, stdout, stderr } = await runCli(args)
    expect(stderr).toMatch(line)
    expect({ code, stdout }).toEqual({ code: EXIT.usage, stdout: '' })
  })
})

describe('send', () => {
  it('sends one job and prints its id', async () => {
    const [one, other] = await Promise.all([
      cli([
        'send',
        'one',
        '{"to":"ann"}',
        '--id',
        'a',
        '--key',
        'k',
        '--delay',
        '10m',
        '--priority',
        '9',
        '--ttl',
        '1d',
      ]),
      cli(['send', 'one', 'hello', '--json', '--header', 'a=b', '--header', 'c=d=e']),
    ])
    expect(one).toMatchObject({ code: 0, stdout: 'a\n', stderr: '' })
    expect(JSON.parse(other.stdout)).toEqual({ queue: 'one', id: expect.any(String) })
    expect(await cli(['send', 'one', '1', '--id', 'a'])).toMatchObject({
      code: 0,
      stdout: 'a\n',
      stderr: 'this id was sent before: nothing was stored again\n',
    })
    const again = await cli(['send', 'one', '--drafts', '--json'], '{"data":1,"id":"b"}\n{"data":1,"id":"a"}\n')
    expect(
      again.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ).toEqual([
      { line: 1, queue: 'one', id: 'b' },
      { line: 2, queue: 'one', id: 'a', duplicate: true },
    ])
    expect(await explain('one', 'a')).toMatchObject({ state: 'delayed', data: { to: 'ann' }, key: 'k', priority: 9 })
    expect(await claim('one')).toMatchObject([{ data: 'hello', headers: { a: 'b', c: 'd=e' } }])
  })

  it('sends what a job has by itself, tells it, and copies it with the job', async () => {
    const own = ['--attempts', '1', '--backoff', 'exponential:2s:1m', '--run-time', '5s', '--keep-done', 'no']
    expect(await cli(['send', 'own', '1', '--id', 'a', ...own])).toMatchObject({ code: 0, stdout: 'a\n' })
    const backoff = { kind: 'exponential', ms: 2_000, maxMs: 60_000 }
    const told = { maxAttempts: 1, backoff, runMs: 5_000, keepDone: false, attempts: 0 }
    expect(await explain('own', 'a')).toMatchObject(told)
    const { stdout } = await cli(['explain', 'own', 'a'])
    expect(stdout).toMatch(/tried +0 failed attempts of 1 at most, delivered 0 times\n/)
    expect(stdout).toMatch(
      /backoff +2000 ms, doubled each time, at most 60000 ms\nrun +5000 ms at most\nkept +not when it has ended\n/,
    )
    await cli(['send', 'listed', '1', '--id', 'l', '--backoff', 'list:500ms,1m'])
    expect(await explain('listed', 'l')).toMatchObject({ backoff: { kind: 'list', ms: [500, 60_000] } })
    expect((await cli(['explain', 'listed', 'l'])).stdout).toMatch(/backoff +500 ms, 60000 ms, and so on\n/)
    const jobs = await cli(['jobs', 'own', '--json'])
    expect(await cli(['send', 'copy', '--drafts'], jobs.stdout)).toMatchObject({ code: 0, stderr: '' })
    const copied = (await cli(['jobs', 'copy', '--json'])).stdout
    expect(linesOf(copied)).toMatchObject([told])
    expect((await cli(['send', 'given', '--drafts'], '{"data":1,"id":"g","attempts":2}\n')).code).toBe(0)
    expect(await explain('given', 'g')).toMatchObject({ maxAttempts: 2 })
  })

  it('sends lines in their order, as data, text or drafts', async () => {
    const numbers = Array.from({ length: 1_200 }, (_, i) => i)
    const [many, text, drafts] = await Promise.all([
      cli(['send', 'lines'], `${numbers.join('\n\n')}\n`),
      cli(['send', 'text', '--text', '--json'], 'a b\n\nc'),
      cli(
        ['send', 'drafts', '--drafts', '--key', 'k', '--header', 'a=b'],
        '{"data":1,"id":"x","headers":{"c":"d"}}\n{"base64":"AAE=","key":"l","state":"dead"}\n',
      ),
    ])
    expect(many).toMatchObject({ code: 0, stdout: 'sent 1200 jobs to lines\n' })
    const first = await claim('lines', { max: 1_000 })
    const rest = await claim('lines', { max: 1_000 })
    expect([...first, ...rest].map(({ data }) => data)).toEqual(numbers)
    expect(linesOf(text.stdout)).toMatchObject([{ line: 1 }, { line: 3, queue: 'text', id: expect.any(String) }])
    expect((await claim('text', { max: 2 })).map(({ data }) => data)).toEqual(['a b', 'c'])
    expect(drafts.code).toBe(0)
    expect(await claim('drafts', { max: 2 })).toMatchObject([
      { id: 'x', key: 'k', headers: { a: 'b', c: 'd' } },
      { base64: 'AAE=', key: 'l', headers: { a: 'b' } },
    ])
  })

  it('says which line is wrong, and what was sent', async () => {
    await ask('PUT', '/v1/queues/brim', { maxJobs: 2 })
    const [json, draft, bytes, refused, full, family] = await Promise.all([
      cli(['send', 'wrong'], '1\n2\n{"a\n4\n'),
      cli(['send', 'wrong', '--drafts'], '{"data":1,"delay":5}\n'),
      cli(['send', 'wrong', '--drafts'], '{"data":1,"children":[{"base64":"@"}]}\n'),
      cli(['send', 'refused', '--drafts'], '{"data":1}\n{"data":2,"priority":11}\n'),
      cli(['send', 'brim', '--timeout', '2s'], '1\n2\n3\n'),
      cli(['send', 'brim', '--timeout', '2s', '--json', '--drafts'], '{"data":1,"children":[{"data":1},{"data":2}]}\n'),
    ])
    expect(json).toMatchObject({ code: EXIT.usage, stdout: '' })
    expect(json.stderr).toMatch(/^reprise: line 3 is wrong: .*; sent 2 jobs to wrong, nothing from that line on\n$/)
    expect(draft.stderr).toMatch(/^reprise: line 1 is wrong: delay is no part of a draft; known: data, .*; sent 0 jobs/)
    expect(bytes.stderr).toMatch(/^reprise: line 1 is wrong: base64 is not base64; sent 0 jobs/)
    expect(refused).toMatchObject({
      code: EXIT.refused,
      stderr: expect.stringMatching(
        /^reprise: line 2: .*\[\d\]\.priority: .*; sent 1 job to refused, no other line\n$/,
      ),
    })
    expect(full.code).toBe(EXIT.refused)
    expect(full.stderr).toMatch(/^reprise: line \d: no answer within 2000 ms: it was not sent .*: the queue is full: /)
    expect(family.code).toBe(EXIT.refused)
    expect(JSON.parse(family.stderr)).toMatchObject({ error: { code: 'too_many' } })
  })

  it('goes on when the hub is killed and started again: each line once, in order', async () => {
    const first = await spawnHub()
    const numbers = Array.from({ length: 20_000 }, (_, i) => i)
    const sending = startChild([...cliCommand(), 'send', 'rows', '--url', first.url], { input: numbers.join('\n') })
    await until(async () => ((await queueCalls(first.url).look('rows')).counts.sent ?? 0) > 200, {
      what: 'the first lines',
    })
    await first.kill()
    const second = await spawnHub({ data: first.data, port: first.port })
    expect(await sending.exited).toEqual({ code: 0, signal: null })
    expect(sending.stdout()).toBe('sent 20000 jobs to rows\n')
    const found: unknown[] = []
    while (found.length < numbers.length) {
      const jobs = await queueCalls(second.url).claim('rows', { max: 1_000 })
      if (jobs.length === 0) break
      found.push(...jobs.map(({ data }) => data))
    }
    expect(found).toEqual(numbers)
    expect((await queueCalls(second.url).look('rows')).counts.sent).toBe(numbers.length)
  })

  it('stores a family of jobs between the lines around it', async () => {
    const drafts = [{ data: 1 }, { data: 2, id: 'parent', children: [{ base64: 'AAE=' }] }, { data: 3 }]
    const lines = drafts.map((draft) => JSON.stringify(draft)).join('\n')
    expect(await cli(['send', 'family', '--drafts'], lines)).toMatchObject({
      code: 0,
      stdout: 'sent 3 jobs to family\n',
    })
    expect(await claim('family', { max: 5 })).toMatchObject([{ data: 1 }, { base64: 'AAE=' }, { data: 3 }])
    expect(await explain('family', 'parent')).toMatchObject({ state: 'waiting' })
  })
})

describe('work', () => {
  it('runs the command for each job: input, reply, failure, what it is told', async () => {
    const program = node(`let text = ''
      process.stdin.on('data', (part) => { text += part }).on('end', () => {
        const data = JSON.parse(text)
        if (data.fail) { console.error('no such address'); process.exit(3) }
        console.log(JSON.stringify({ twice: data.n * 2, id: process.env.JOB_ID, key: process.env.JOB_KEY }))
      })`)
    await send('slow.work', { data: { fail: true }, id: 'bad' })
    const worker = work(['slow.work', '--count', '3', '--concurrency', '2', '--client', 'shell'], program)
    const wire = await joinQueues(hub.url)
    const reply = wire.value('request', 'slow.work', { data: { n: 21 }, id: 'good', key: 'k' }, { timeoutMs: 20_000 })
    expect(await reply).toEqual({ twice: 42, id: 'good', key: 'k' })
    await send('slow.work', { data: { n: 1 } })
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(worker.stderr()).toContain('no such address\n')
    expect(worker.stderr()).toContain('reprise: job bad comes again: no such address')
    expect(await explain('slow.work', 'bad')).toMatchObject({
      state: 'delayed',
      attempts: 1,
      history: [{ what: 'retry', why: 'no such address', holder: { client: 'shell' } }],
    })
    expect((await look('slow.work')).counts).toMatchObject({ sent: 3, done: 2, delayed: 1 })
  })

  it('without a command prints the jobs and settles them', async () => {
    await send('printed', { data: { n: 1 }, id: 'a', key: 'k' }, { base64: 'AAE=', id: 'b' })
    const lines = work(['printed', '--json', '-n', '2'])
    expect((await lines.exited).code).toBe(0)
    expect(linesOf(lines.stdout())).toMatchObject([
      { queue: 'printed', id: 'a', key: 'k', attempts: 0, deliveries: 1, data: { n: 1 } },
      { id: 'b', base64: 'AAE=' },
    ])
    await send('printed', { data: '\u001b[2J', id: 'c' }, ...['d', 'e', 'f'].map((id) => ({ data: 0, id })))
    const text = work(['printed', '-n', '3', '--concurrency', '2'])
    expect((await text.exited).code).toBe(0)
    expect(text.stdout()).toBe('c  "\\u001b[2J"\nd  0\ne  0\n')
    // What the worker gave back more than once waits a moment.
    await until(async () => (await look('printed')).counts.ready === 1, { what: 'the job that was given back' })
    expect((await look('printed')).counts).toMatchObject({ sent: 6, done: 5 })
  })

  it('at a signal finishes what runs and gives the rest back', async () => {
    const signals = [
      ['SIGINT', EXIT.interrupted],
      ['SIGTERM', EXIT.terminated],
    ] as const
    const stop = async ([signal, code]: (typeof signals)[number]) => {
      const queue = `stop.${signal}`
      await send(queue, ...['a', 'b', 'c'].map((id) => ({ data: id, id })))
      const worker = work([queue], node(`console.error('begun'); setTimeout(() => console.error('finished'), 400)`))
      await until(() => worker.stderr().includes('begun'), { what: 'the command' })
      // As a terminal does it: to the whole group.
      expect(await worker.kill(signal)).toEqual({ code, signal: null })
      expect(worker.stderr()).toMatch(/^begun\nfinished\n$/)
      await until(async () => (await look(queue)).counts.ready === 2, { what: 'the jobs that were given back' })
      expect((await look(queue)).counts).toMatchObject({ done: 1, held: 0 })
      expect(await explain(queue, 'b')).toMatchObject({ attempts: 0 })
    }
    await Promise.all(signals.map(stop))
  })

  it('leaves no command behind when it is told twice, and the job goes back', async () => {
    await send('twice', { data: 1, id: 'a' })
    const worker = work(['twice'], node(`console.error('pid', process.pid, '.'); setInterval(() => {}, 1000)`))
    const pid = await until(() => /pid (\d+) \./.exec(worker.stderr())?.[1], { what: 'the command' })
    worker.process.kill('SIGINT')
    worker.process.kill('SIGINT')
    await until(() => worker.process.exitCode !== null || !worker.process.kill('SIGINT'), {
      what: 'the end',
      everyMs: 50,
    })
    expect((await worker.exited).code).toBe(EXIT.interrupted)
    await until(() => !alive(Number(pid)), { what: 'the end of the command' })
  })

  it('ends with 2 where there is no such command, and the job loses nothing', async () => {
    await send('nowhere', { data: 1, id: 'a' })
    const worker = work(['nowhere'], ['no-such-command-here'])
    expect((await worker.exited).code).toBe(EXIT.usage)
    expect(worker.stderr()).toBe('reprise: no-such-command-here: there is no such command\n')
    await until(async () => (await explain('nowhere', 'a')).state === 'ready', { what: 'the job' })
    expect(await explain('nowhere', 'a')).toMatchObject({ attempts: 0 })
  })
})

describe('looking', () => {
  it('lists queues, and tells of one', async () => {
    await send('seen', { data: 1 }, { data: 2, delayMs: 60_000 })
    const [table, json, one, none] = await Promise.all([
      cli(['queues']),
      cli(['queues', '--json']),
      cli(['queues', 'seen']),
      cli(['queues', 'unknown']),
    ])
    expect(table.stdout).toMatch(/^queue +ready +delayed +held +waiting +dead +done +oldest +consumers +paused\n/)
    expect(table.stdout).toMatch(/^seen +1 +1 +0 +0 +0 +0 +\d+m?s +0 +-$/m)
    expect(linesOf(json.stdout)).toContainEqual(expect.objectContaining({ queue: 'seen', paused: false }))
    expect(one.stdout).toMatch(/^counts +\{"sent":2,.*\}$/m)
    expect(none).toMatchObject({ code: EXIT.refused, stdout: '' })
    expect(none.stderr).toBe('reprise: there is no queue unknown: nothing was sent to it\n')
  })

  it('lists jobs in a state, and explains one', async () => {
    await bury('jobs', { data: 'luck', id: 'gone' })
    await send('jobs', { data: { to: 'ann' }, id: 'a', key: 'k' }, { data: 2, id: 'b', key: 'k' })
    const [job] = await claim('jobs', { client: 'me' })
    const [ready, held, json, none, behind, why, dead, unknown] = await Promise.all([
      cli(['jobs', 'jobs']),
      cli(['jobs', 'jobs', '--state', 'held', '--key', 'k']),
      cli(['jobs', 'jobs', '--state', 'dead', '--json']),
      cli(['jobs', 'jobs', '--state', 'ready', '--key', 'other']),
      cli(['explain', 'jobs', 'b']),
      cli(['explain', 'jobs', 'a']),
      cli(['explain', 'jobs', 'gone', '--json']),
      cli(['explain', 'jobs', 'nothing']),
    ])
    expect(job?.id).toBe('a')
    const head = 'id  key  attempts  priority  sent +due +data'
    expect(ready.stdout).toMatch(new RegExp(`^${head}\\nb   k +0 +4 +\\S+Z +\\S+Z +2\\n$`))
    expect(held.stdout).toMatch(new RegExp(`^${head}\\na   k +0 +4 +\\S+Z +\\S+Z +\\{"to":"ann"\\}\\n$`))
    expect(behind.stdout).toContain('why       job a is before it in the line of key k\n')
    expect(linesOf(json.stdout)).toMatchObject([
      { id: 'gone', state: 'dead', data: 'luck', dead: { error: 'no luck' } },
    ])
    expect(await cli(['send', 'copied', '--drafts'], json.stdout)).toMatchObject({ code: 0, stderr: '' })
    expect(none.stdout).toBe('no ready jobs in jobs\n')
    expect(why.stdout).toMatch(/^job a in jobs: held\nwhy +me#\w+ works on it under a lease \(until .*\)\n/)
    expect(JSON.parse(dead.stdout)).toMatchObject({
      state: 'dead',
      why: [{ reason: 'dead' }, { reason: 'no_consumer' }],
    })
    expect(unknown).toMatchObject({
      code: EXIT.refused,
      stderr: 'reprise: there is no job nothing in jobs: it never was, or is not kept any more\n',
    })
  })

  it('pauses, resumes and purges', async () => {
    await send('managed', { data: 1 }, { data: 2 })
    expect((await cli(['pause', 'managed'])).stdout).toBe('managed is paused\n')
    expect(await claim('managed')).toEqual([])
    expect((await cli(['resume', 'managed', '--json'])).stdout).toBe('{"queue":"managed","paused":false}\n')
    expect(await claim('managed')).toHaveLength(1)
    expect((await cli(['purge', 'managed', '--yes'])).stdout).toBe('removed 1 job from managed\n')
  })
})

describe('redrive', () => {
  it('brings back what fits, after a dry run, or all of many', async () => {
    await bury('graves', ...['ink', 'ink', 'mail'].map((data, n) => ({ data, id: `${data}${n}` })))
    const dry = await cli(['redrive', 'graves', '--dry-run', '--error', 'no ink'])
    expect(dry).toMatchObject({ code: 0, stdout: '2 dead letters of graves would come back\n' })
    expect((await look('graves')).counts).toMatchObject({ dead: 3 })
    const some = await cli([
      'redrive',
      'graves',
      '--error',
      'no ink',
      '--reason',
      'rejected',
      '--since',
      '1h',
      '--json',
    ])
    expect(JSON.parse(some.stdout)).toEqual({ queue: 'graves', matched: 2, moved: 2 })
    // More than one part.
    for (let i = 0; i < 2; i++) await bury('many', ...Array.from({ length: 600 }, (_, data) => ({ data })))
    const [rest, many] = await Promise.all([
      cli(['redrive', 'graves', '--id', 'mail2', '--id', 'other']),
      cli(['redrive', 'many']),
    ])
    expect(many.stdout).toBe('1200 dead letters are back in many\n')
    expect((await look('many')).counts).toMatchObject({ ready: 1_200, dead: 0 })
    expect(rest.stdout).toBe('1 dead letter is back in graves\n')
    expect((await look('graves')).counts).toMatchObject({ ready: 3, dead: 0 })
  })

  it('that is interrupted says how far it came and loses nothing', async () => {
    await bury('paced', ...Array.from({ length: 100 }, (_, data) => ({ data })))
    const child = startChild([...cliCommand(), 'redrive', 'paced', '--rate', '10', '--url', hub.url])
    await until(async () => ((await look('paced')).counts.ready ?? 0) > 0, { what: 'the first part' })
    child.process.kill('SIGINT')
    expect(await child.exited).toEqual({ code: EXIT.interrupted, signal: null })
    const [, moved] =
      /^(\d+) dead letters are back in paced; interrupted, the others stay where they are\n$/.exec(child.stdout()) ?? []
    const { ready, dead } = (await look('paced')).counts
    expect(ready).toBe(Number(moved))
    expect((ready ?? 0) + (dead ?? 0)).toBe(100)
    expect(dead).toBeGreaterThan(0)
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
