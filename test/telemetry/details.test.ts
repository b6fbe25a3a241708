/** What the log tells at the level `debug`. */

import { describe, expect, it } from 'vitest'
import { join } from '../support/clients/wire.ts'
import { spawnHub } from '../support/hub/process.ts'
import { until } from '../support/until.ts'

describe('the level debug', () => {
  it('adds who enters and leaves, and calls with what came of them, and no data', async () => {
    const hub = await spawnHub({ args: ['--log-level', 'debug'] })
    const wire = await join(hub.url, 'orders', { client: 'ann' })
    await wire.value('publish', [{ data: 'a secret' }])
    await wire.call('nonsense\nforged', 1)
    await fetch(`${hub.url}/v1/topics/orders`)
    wire.close()
    const lines = () =>
      hub
        .stderr()
        .split('\n')
        .filter((line) => line.includes('"level":"debug"'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
    await until(() => lines().some(({ msg }) => msg === 'left'), { what: 'the line that it left', seen: hub.stderr })
    const namespace = '/topics/orders'
    expect(lines()).toEqual([
      expect.objectContaining({ msg: 'entered', namespace, subject: 'anonymous', client: 'ann' }),
      expect.objectContaining({ msg: 'call', call: 'publish', namespace, ms: expect.any(Number) }),
      expect.objectContaining({ msg: 'call', call: 'nonsense\nforged', namespace, code: 'bad_request' }),
      expect.objectContaining({ msg: 'call', call: 'GET /v1/topics/:topic' }),
      expect.objectContaining({ msg: 'left', namespace, client: 'ann', reason: 'client namespace disconnect' }),
    ])
    expect(hub.stderr()).not.toContain('secret')
  })
})
