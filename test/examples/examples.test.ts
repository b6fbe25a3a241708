/** Every example runs as it stands, ends by itself, and says what it shows. */

import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { startHub } from '../support/hub/hub.ts'
import { run } from '../support/hub/process.ts'

const FOLDER = new URL('../../examples/', import.meta.url)

const SAYS: Readonly<Record<string, readonly string[]>> = {
  'replay.ts': ['first visit: [ 1, 2, 3 ]', 'second visit: [ 4, 5, 6 ]'],
  'webhook.ts': ['201', '{"invoice":7}'],
  'worker.ts': ['sent to ann, attempt 1', 'sent to busy, attempt 2', "dead letter: { to: 'nobody' }"],
  'requestReply.ts': ['roots: [ 2, 3, 4 ]', 'failed', '-1 has no root'],
  'embedded.ts': ['received: hello'],
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
