/** Keys, tokens and revocations from the command line. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { EXIT } from '../../cli/exit.ts'
import { SECRET, tokenOf } from '../support/clients/tokens.ts'
import { startHub } from '../support/hub/hub.ts'
import { runCli as run, spawnHub } from '../support/hub/process.ts'
import { tempFolder } from '../support/temp.ts'
import { until } from '../support/until.ts'

describe('a hub with auth', () => {
  let url: string
  let config: string
  const cli = (...args: string[]) => run(args, { env: { REPRISE_URL: url, TOKEN_SECRET: SECRET } })

  beforeAll(async () => {
    const { stdout } = await run(['key', 'new', 'backend', '--json'])
    const { key, hash } = JSON.parse(stdout)
    expect(key).toMatch(/^rk_backend_[0-9a-f]{64}$/)
    const file = `auth:
  jwt: { secret: env:TOKEN_SECRET, audience: reprise }
  keys: [{ name: backend, hash: "${hash}", grants: [{ actions: [publish], names: ["*"] }] }]
  roles: { viewer: [{ actions: [read], names: ["orders"] }] }
`
    config = join(await tempFolder(), 'reprise.yaml')
    await writeFile(config, file)
    const hub = await spawnHub({ args: ['--config', config], env: { TOKEN_SECRET: SECRET } })
    ;({ url } = hub)
    await until(() => hub.stdout().includes('authentication: whoever shows no token may do nothing\n'))
    const published = await cli('pub', 'orders', '{"id":1}', '--token', key)
    expect(published).toMatchObject({ code: EXIT.ok })
    expect((await cli('token', 'check', key, '--config', config)).stdout).toContain('may      publish on *')
  })

  it('takes the tokens that the command line signs, until they are revoked', async () => {
    const token = async (sub: string, ...more: string[]) =>
      (await cli('token', '--sub', sub, '--config', config, ...more)).stdout.trim()
    const viewer = await token('ann', '--role', 'viewer', '--ttl', '15m')
    expect((await cli('tail', 'orders', '--token', viewer)).stdout).toContain('{"id":1}')
    expect(await cli('pub', 'orders', '{}', '--token', viewer)).toMatchObject({
      stderr: 'reprise: ann may not publish orders\n',
    })
    const checked = await cli('token', 'check', viewer, '--config', config)
    expect(checked.stdout).toMatch(/^subject {2}ann\n.*\n?until .*\nmay {6}read on orders\n$/s)
    const wrong = await cli('token', 'check', `${viewer}x`, '--config', config)
    expect(wrong.stderr).toBe("reprise: the token's signature is not right\n")
    expect(wrong.code).not.toBe(EXIT.ok)

    const root = await token('root', '--grant', '*:*')
    expect((await cli('revoke', '--token', root)).stdout).toBe('nothing is revoked\n')
    const revoked = await cli('revoke', '--subject', 'ann', '--token', root)
    expect(revoked.stdout).toMatch(/^revoked ann, as \w+\n$/)
    expect((await cli('tail', 'orders', '--token', viewer)).stderr).toBe('reprise: the token was revoked\n')
    expect((await cli('revoke', '--token', root)).stdout).toContain('ann')
    const [, id = ''] = /as (\w+)/.exec(revoked.stdout) ?? []
    await cli('revoke', '--undo', id, '--token', root)
    expect((await cli('tail', 'orders', '--token', viewer)).stdout).toContain('{"id":1}')
  })

  it('warns at the start of a secret that can be guessed', async () => {
    const weak = /auth\.jwt\.secret has 6 bytes, and whoever has a token could guess it: give it 32 or more/
    const env = { TOKEN_SECRET: 'secret', REPRISE_LOG_LEVEL: 'warn' }
    const hub = await spawnHub({ args: ['--config', config], env })
    await until(() => weak.test(hub.stderr()), { seen: hub.stderr })
  })

  it('says what is missing', async () => {
    expect(await run(['token', '--sub', 'ann'])).toMatchObject({
      code: EXIT.usage,
      stderr: expect.stringContaining('there is no auth.jwt.secret to sign with'),
    })
    expect(await cli('token', '--sub', 'ann', '--grant', 'fly:*', '--config', config)).toMatchObject({
      code: EXIT.usage,
      stderr: expect.stringContaining('no action'),
    })
    expect(await cli('token', '--sub', 'backend', '--config', config)).toMatchObject({
      code: EXIT.usage,
      stderr: "reprise: --sub is a name of the hub's own\n",
    })
    const shown = await cli('config', 'show', '--config', config)
    expect(shown.stdout).toContain('secret: env:TOKEN_SECRET')
    const unset = await run(['config', 'show', '--config', config])
    expect(unset.stderr).toContain('auth.jwt.secret: env:TOKEN_SECRET: there is no such variable')
  })
})

describe('a hub without auth', () => {
  it('ignores a token, which the command line remarks on', async () => {
    const { url } = await startHub()
    const { stderr, code } = await run(['pub', 'orders', '1', '--url', url, '--token', await tokenOf('ann')])
    expect(code).toBe(EXIT.ok)
    expect(stderr).toContain('asks for no token, and ignores yours')
  })
})
