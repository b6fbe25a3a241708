import { afterEach, describe, expect, it, vi } from 'vitest'
import { storageName } from '../../client/browser/names.ts'

describe('the name of a storage', () => {
  afterEach(() => {
    vi.unstubAllGlobals()
  })

  it('is made of an opaque token where that can be done, and else it is said what to do', async () => {
    vi.stubGlobal('location', { href: 'http://shop.example/' })
    const name = (token?: string) =>
      storageName({ url: undefined, path: undefined, client: 'me', name: undefined }, token)
    expect(await name('opaque')).not.toBe(await name('other'))
    expect(await name('opaque')).not.toContain('opaque')
    vi.stubGlobal('crypto', { subtle: undefined })
    await expect(name('opaque')).rejects.toMatchObject({
      code: 'unsupported',
      message: expect.stringContaining('https or localhost'),
    })
    expect(await name('rk_shop_secret')).toContain('rk_shop')
  })
})
