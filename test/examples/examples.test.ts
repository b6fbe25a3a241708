/** Every example runs as it stands, ends by itself, and says what it shows. */

import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { startHub } from '../support/hub/hub.ts'
import { cliCommand, run } from '../support/hub/process.ts'

const FOLDER = new URL('../../examples/', import.meta.url)

const SAYS: Readonly<Record<string, readonly string[]>> = {
  'replay.ts': ['first visit: [ 1, 2, 3 ]', 'second visit: [ 4, 5, 6 ]'],
  'webhook.ts': ['201', '{"invoice":7}'],
  'worker.ts': ['sent to ann, attempt 1', 'sent to busy, attempt 2', "dead letter: { to: 'nobody' }"],
  'requestReply.ts': ['roots: [ 2, 3, 4 ]', 'failed', '-1 has no root'],
  'embedded.ts': ['received: hello'],
  'snapshot.ts': [Array.from({ length: 10 }, () => 'a page has 200 pears\n').join('')],
  'sessions.ts': ['ann has: hello', 'inbox of bob: forbidden'],
}

describe('the example', () => {
  it.each(readdirSync(FOLDER).filter((name) => name.endsWith('.ts')))('%s does what it says', async (name) => {
    expect(readFileSync(new URL(name, FOLDER), 'utf8').split('\n').length).toBeLessThanOrEqual(51)
    const hub = await startHub()
    const file = new URL(name, FOLDER).pathname
    const { code, stdout, stderr } = await run([process.execPath, '--import', import.meta.resolve('tsx'), file], {
      env: { REPRISE_URL: hub.url },
    })
    expect(code, stderr).toBe(0)
    for (const text of SAYS[name] ?? ['an expectation in this test']) expect(stdout).toContain(text)
  })
})

const PYTHON = ['published at [1]', "read: [{'order': 7}]", "followed: {'order': 7}", "working on: {'to': 'ann'}"]

/** By what runs them. */
const OTHERS = {
  'curl.sh': {
    program: 'curl',
    probe: ['--version'],
    says: ['"offsets":[1]', '"events":[{', 'followed: {"offset":1', 'working on: {"jobs":[{', '["ok"]'],
  },
  'shell.sh': { program: 'bash', probe: ['--version'], says: ['{"order":7}', '{"order":8}', '{"to":"ann"}'] },
  'python/standard_library.py': {
    program: 'python3',
    probe: ['--version'],
    says: [...PYTHON, "settled: ['ok']"],
  },
  'python/with_socketio.py': {
    program: 'python3',
    probe: ['-c', 'import socketio'],
    says: [...PYTHON, "settled: ['ok']"],
  },
} as const

describe('the example in another language', () => {
  it('is in the list', () => {
    const there = readdirSync(FOLDER, { recursive: true }).map(String)
    expect(there.filter((name) => /\.(sh|py)$/.test(name)).sort()).toEqual(Object.keys(OTHERS).sort())
  })

  it.for(Object.entries(OTHERS))('%s does what it says, with a token', async ([name, example], { skip }) => {
    const { program, probe, says } = example
    const isThere = spawnSync(program, probe, { stdio: 'ignore' }).status === 0
    skip(!isThere, `not here: ${program} ${probe.join(' ')}`)
    const file = new URL(name, FOLDER).pathname
    const hub = await startHub({ auth: { jwt: { secret: SECRET } } })
    const { code, stdout, stderr } = await run([name.endsWith('.sh') ? 'bash' : program, file], {
      env: { REPRISE_URL: hub.url, REPRISE_TOKEN: await tokenOf('ann'), REPRISE_COMMAND: cliCommand().join(' ') },
    })
    expect(code, stderr).toBe(0)
    for (const text of says) expect(stdout).toContain(text)
  })
})
