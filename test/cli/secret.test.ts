import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { checkConfigFile, parseServeOptions } from '../../server/options/file.ts'
import { configurationText } from '../../server/options/fileText.ts'
import { type HubOptions, resolveHubOptions } from '../../server/options/hub.ts'
import { absoluteSecret, readSecret, shownSecret, variablesIn } from '../../server/options/secret.ts'
import { atEnd } from '../support/ending.ts'
import { tempFolder } from '../support/temp.ts'

describe('a secret', () => {
  it('is read from a variable, from a file, or stands there itself', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'jwt'), ' two\nlines\r\n')
    expect(readSecret('env:ANY_NAME', { ANY_NAME: 'from the shell' })).toEqual({ value: 'from the shell' })
    const file = join(folder, 'jwt')
    expect(readSecret(`file:${file}`)).toEqual({ value: ' two\nlines', file })
    expect(readSecret('environment')).toEqual({ value: 'environment' })
  })

  it('that is not there is told by its place, never by what it holds', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'empty'), '\n')
    await mkdir(join(folder, 'folder'))
    const refusal = (reference: string): string => {
      try {
        readSecret(absoluteSecret(reference, folder), { EMPTY: '' })
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_request' })
        return (error as Error).message
      }
      return 'was read'
    }
    expect(['env:NONE', 'env:EMPTY', 'file:none', 'file:empty', 'file:folder', 'file:', ''].map(refusal)).toEqual([
      'env:NONE: there is no such variable',
      'env:EMPTY: the variable is empty',
      `file:${folder}/none: there is no such file`,
      `file:${folder}/empty: the file is empty`,
      `file:${folder}/folder: is a folder`,
      'file: names no file',
      'is empty; give env:NAME, file:PATH or the secret itself',
    ])
  })

  it('is shown as a reference, which names its file from everywhere', () => {
    expect(['env:NAME', 'file:key', 'hunter2'].map(shownSecret)).toEqual(['env:NAME', 'file:key', '…'])
    expect(['env:NAME', 'file:key', 'file:/etc/key', 'hunter2'].map((one) => absoluteSecret(one, '/srv'))).toEqual([
      'env:NAME',
      'file:/srv/key',
      'file:/etc/key',
      'hunter2',
    ])
  })

  it('may be in a variable that begins like one of the hub', async () => {
    const named = { auth: { jwt: { secret: 'env:REPRISE_JWT_SECRET' }, keys: [{ hash: 'env:OTHER' }, 'environment'] } }
    expect([...variablesIn(named)]).toEqual(['REPRISE_JWT_SECRET', 'OTHER'])
    const flags = { path: '/env:REPRISE_MINE' }
    expect(() => parseServeOptions({ flags, env: { REPRISE_MINE: 'x' } })).toThrow('REPRISE_MINE: unknown variable')
  })
})

describe('options of TLS', () => {
  const PEM = '-----BEGIN CERTIFICATE-----\nMII\n'

  async function folderWith(config: string): Promise<string> {
    const folder = await tempFolder()
    for (const name of ['cert', 'key', 'ca']) await writeFile(join(folder, `${name}.pem`), PEM)
    await writeFile(join(folder, 'reprise.yaml'), config)
    return folder
  }

  it('are each taken from flags, then the environment, then the file beside which their files lie', async () => {
    const folder = await folderWith('tls: { cert: file:cert.pem, key: none.pem, ca: env:REPRISE_CA }\n')
    process.env.REPRISE_CA = PEM
    atEnd(() => void delete process.env.REPRISE_CA)
    const config = join(folder, 'reprise.yaml')
    const env = { REPRISE_TLS_KEY: `${folder}/key.pem`, REPRISE_CA: PEM }
    const { options, sources } = parseServeOptions({ flags: { config }, env })
    const [cert, key] = [`file:${folder}/cert.pem`, `file:${folder}/key.pem`]
    expect(options.tls).toEqual({ cert, key, ca: 'env:REPRISE_CA' })
    expect(sources.tls).toBe('REPRISE_TLS_KEY')
    const flags = { config, tlsCert: 'key.pem' }
    expect(parseServeOptions({ flags, env, cwd: folder }).options.tls).toMatchObject({ cert: key, key })
    expect(() => parseServeOptions({ flags: { config }, env: { REPRISE_CA: PEM } })).toThrow(
      `${config}:1: tls.key: file:${folder}/none.pem: there is no such file`,
    )
    expect(() => parseServeOptions({ flags: { tlsCert: cert } })).toThrow('--tls-cert: tls.key: is missing')
    expect(() => parseServeOptions({ flags: { tlsCert: '' } })).toThrow('--tls-cert: "" is not a file, or env:NAME')
  })

  it('are checked with the file, and shown without what is secret', async () => {
    const folder = await folderWith('port: 1\ntls: { cert: cert.pem, key: key.pam }\n')
    expect(checkConfigFile('reprise.yaml', folder)).toEqual([
      `reprise.yaml:2: tls.key: file:${folder}/key.pam: there is no such file`,
    ])
    const right = await folderWith(`tls: { cert: cert.pem, key: ${JSON.stringify(PEM)} }\n`)
    expect(checkConfigFile('reprise.yaml', right)).toEqual([])
    const configuration = parseServeOptions({ flags: { config: 'reprise.yaml' }, cwd: right })
    const text = configurationText(configuration)
    expect(text).toContain(`cert: file:${right}/cert.pem`)
    expect(text).not.toContain('MII')
    await writeFile(join(right, 'again.yaml'), configurationText(configuration, { secrets: true }))
    expect(parseServeOptions({ flags: { config: 'again.yaml' }, cwd: right }).options.tls).toEqual(
      configuration.options.tls,
    )
  })
})

describe('keys of encryption', () => {
  const key = Buffer.alloc(32, 7).toString('base64')
  const refusal = (encryption: unknown): string => {
    try {
      resolveHubOptions({ encryption } as HubOptions)
    } catch (error) {
      expect(error).toMatchObject({ code: 'bad_request' })
      return (error as Error).message
    }
    return 'was taken'
  }

  it('have 32 bytes in base64, and what is wrong is told without them', () => {
    const make = 'a key is 32 bytes in base64, as "openssl rand -base64 32" prints it'
    const secret = 'a!secret!that!is!no!base64'
    expect(refusal({ current: 'k1', keys: { k1: key } })).toBe('was taken')
    expect(refusal({ keys: { k1: key.replaceAll('+', '-').replaceAll('/', '_').replace('=', '') } })).toBe('was taken')
    expect(refusal({ keys: { k1: secret } })).toBe(`encryption.keys.k1: is not base64: ${make}`)
    expect(refusal({ keys: { k1: key.slice(0, 24) } })).toBe(`encryption.keys.k1: has 18 bytes: ${make}`)
    expect(refusal({ keys: { k1: 'env:NO_SUCH_KEY' } })).toBe(
      'encryption.keys.k1: env:NO_SUCH_KEY: there is no such variable',
    )
    expect(refusal({ current: 'k2', keys: { k1: key } })).toBe(
      'encryption.current: there is no key "k2": it is one of k1',
    )
    expect(refusal({ keys: {} })).toMatch(/^encryption\.keys: has none: give one, as "openssl rand/)
    expect(refusal({ keys: { 'k 1': key } })).toMatch(/encryption\.keys\."k 1": is no name of a key: 1 to 16 letters/)
    expect(refusal({ keys: { k1: { secret } } })).not.toContain(secret)
  })

  it('are read from a file beside the configuration, and not shown', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'k1'), `${key}\n`)
    await writeFile(join(folder, 'reprise.yaml'), `encryption: { current: k2, keys: { k1: file:k1, k2: "${key}" } }\n`)
    const configuration = parseServeOptions({ flags: { config: join(folder, 'reprise.yaml') } })
    expect(configuration.options.encryption?.keys.k1).toBe(`file:${folder}/k1`)
    expect(configurationText(configuration)).not.toContain(key)
    expect(configurationText(configuration, { secrets: true })).toContain(key)
    await writeFile(join(folder, 'k1'), 'short')
    expect(checkConfigFile(join(folder, 'reprise.yaml'), folder)).toEqual([
      expect.stringMatching(/^reprise\.yaml:1: encryption\.keys\.k1: has 3 bytes: /),
    ])
  })
})
