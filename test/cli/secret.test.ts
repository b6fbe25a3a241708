import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseServeOptions } from '../../server/options/file.ts'
import { absoluteSecret, readSecret, shownSecret, variablesIn } from '../../server/options/secret.ts'
import { tempFolder } from '../support/temp.ts'

describe('a secret', () => {
  it('is read from a variable, from a file beside the one that names it, or stands there itself', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'jwt'), ' two\nlines\r\n')
    expect(readSecret('env:ANY_NAME', folder, { ANY_NAME: 'from the shell' })).toEqual({ value: 'from the shell' })
    expect(readSecret('file:jwt', folder, {})).toEqual({ value: ' two\nlines', file: join(folder, 'jwt') })
    expect(readSecret(`file:${folder}/jwt`, '/elsewhere', {}).value).toBe(' two\nlines')
    expect(readSecret('environment', folder, {})).toEqual({ value: 'environment' })
  })

  it('that is not there is told by its place, never by what it holds', async () => {
    const folder = await tempFolder()
    await writeFile(join(folder, 'empty'), '\n')
    await mkdir(join(folder, 'folder'))
    const refusal = (reference: string): string => {
      try {
        readSecret(reference, folder, { EMPTY: '' })
      } catch (error) {
        expect(error).toMatchObject({ code: 'bad_request' })
        return (error as Error).message
      }
      return 'was read'
    }
    expect(['env:NONE', 'env:EMPTY', 'file:none', 'file:empty', 'file:folder', 'file:', ''].map(refusal)).toEqual([
      'env:NONE: there is no such variable',
      'env:EMPTY: the variable is empty',
      'file:none: there is no such file',
      'file:empty: the file is empty',
      'file:folder: is a folder',
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
