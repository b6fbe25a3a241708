/** What a program hands in wrong is told at once; what it does not listen to is told once. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, createServer as createTcpServer } from 'node:net'
import { Server } from 'socket.io'
import { describe, expect, it, vi } from 'vitest'
import { Emitter } from '../../client/connection/emitter.ts'
import { connect, type Hub, retry } from '../../client/index.ts'
import { addressOf } from '../../client/optionChecks.ts'
import { createHub } from '../../server/index.ts'
import { atEnd } from '../support/ending.ts'
import { serveWith } from '../support/hub/attached.ts'
import { startHub } from '../support/hub/hub.ts'
import { errorOf, open } from '../support/sdk/handles.ts'
import { tempFolder } from '../support/temp.ts'
import { until, within } from '../support/until.ts'

const LONG = [2 ** 31, 2 ** 40, Infinity]

describe('an address', () => {
  it('without a host is one of the page, with its protocol', () => {
    vi.stubGlobal('location', { href: 'https://shop.example:8443/cart?x' })
    try {
      expect(['/hub', '//hub.example', undefined].map(addressOf)).toEqual([
        'https://shop.example:8443/hub',
        'https://hub.example/',
        undefined,
      ])
    } finally {
      vi.unstubAllGlobals()
    }
  })

  it.each(['about:blank', 'data:text/html,x', 'blob:http://shop.example/9', 'file:///index.html'])(
    'has to be given where the page is %s',
    (href) => {
      vi.stubGlobal('location', { href })
      try {
        for (const url of [undefined, '/hub']) {
          expect(() => addressOf(url)).toThrow(expect.objectContaining({ code: 'bad_request' }))
        }
        expect(addressOf('http://127.0.0.1:3000')).toBe('http://127.0.0.1:3000/')
      } finally {
        vi.unstubAllGlobals()
      }
    },
  )

  it('is given to Socket.IO as it knows it', () => {
    expect(addressOf('HTTP://Hub.example:80')).toBe('http://hub.example/')
  })
})

describe('a listener', () => {
  it('that listens anew when it is called hears of the next change, and one that is taken away of none', () => {
    const emitter = new Emitter<number>()
    const heard: string[] = []
    const listen = () => {
      const undo = emitter.on((value) => {
        undo()
        other()
        if (heard.push(`${value}`) < 100) listen()
      })
    }
    listen()
    const other = emitter.on(() => heard.push('taken away'))
    emitter.emit(1)
    emitter.emit(2)
    expect(heard).toEqual(['1', '2'])
  })
})

describe('an option', () => {
  const calls: readonly [string, (hub: Hub, options: object) => unknown][] = [
    ['connect', (_hub, options) => connect('http://127.0.0.1:1', options)],
    ['publish', (hub, options) => hub.topic('t').publish(1, options)],
    ['subscribe', (hub, options) => hub.topic('t').subscribe(() => {}, options)],
    ['read', (hub, options) => hub.topic('t').read(options)],
    ['send', (hub, options) => hub.queue('q').send(1, options)],
    ['request', (hub, options) => hub.queue('q').request(1, options)],
    ['consume', (hub, options) => hub.queue('q').consume(() => {}, options)],
    ['close', (hub, options) => hub.close(options)],
    ['sendAll', (hub, options) => hub.queue('q').sendAll([{ data: 1, ...options }])],
    ['children', (hub, options) => hub.queue('q').send(1, { children: [{ data: 1, ...options }] })],
    [
      'schedule: draft',
      (hub, options) => hub.queue('q').schedule('s', { everyMs: 1_000, draft: { data: 1, ...options } }),
    ],
  ]
  const refusal = async (name: string, options: object) => {
    const call = calls.find(([one]) => one === name)?.[1]
    return await errorOf((async () => call?.(open('http://127.0.0.1:1'), options))())
  }

  it.each([
    ['connect', 'clinet', 'client'],
    ['connect', 'reconnectionDelay', 'reconnect'],
    ['connect', 'timeout', 'readTimeoutMs'],
    ['publish', 'kye', 'key'],
    ['publish', 'messageId', 'id'],
    ['subscribe', 'concurency', 'concurrency'],
    ['subscribe', 'startFrom', 'from'],
    ['read', 'since', 'after'],
    ['read', 'count', 'limit'],
    ['send', 'delay', 'delayMs'],
    ['send', 'repeat', 'schedule'],
    ['send', 'jobId', 'id'],
    ['request', 'timeout', 'timeoutMs'],
    ['consume', 'prefetch', 'concurrency'],
    ['consume', 'visibilityTimeout', 'leaseMs'],
    ['consume', 'stalledInterval', 'leaseMs'],
    ['connect', 'getToken', 'token'],
    ['connect', 'minReconnectDelay', 'reconnect'],
    ['subscribe', 'rewind', 'from'],
    ['publish', 'extras', 'headers'],
    ['close', 'timeout', 'drainMs'],
  ])('of %s that is not known, %s, is refused, and %s is told', async (call, name, ours) => {
    expect(await refusal(call, { [name]: 1 })).toMatchObject({
      code: 'bad_request',
      message: expect.stringMatching(new RegExp(`^${call}: there is no option ${name}; .*\\b${ours}\\b`)),
    })
    expect(await refusal(call, 'text' as never)).toMatchObject({ code: 'bad_request' })
    expect(await refusal(call, null as never)).toMatchObject({ code: 'bad_request' })
  })

  it.each([
    ['sendAll', 'timeoutMs'],
    ['children', 'timeoutMs'],
    ['request', 'children'],
    ['request', 'onDeadChild'],
    ['schedule: draft', 'id'],
    ['schedule: draft', 'children'],
  ])(
    'of %s that only other calls have, %s, is refused, and not named among those that are known',
    async (call, name) => {
      expect(await refusal(call, { [name]: 1 })).toMatchObject({
        code: 'bad_request',
        message: expect.stringMatching(new RegExp(`^${call}: there is no option ${name}((?!\\b${name}\\b).)*$`)),
      })
    },
  )

  it('of close that cannot be is told by what it returns', async () => {
    const hub = open('http://127.0.0.1:1')
    const [topic, queue] = [hub.topic('t'), hub.queue('q')]
    for (const handle of [topic.subscribe(() => {}), queue.consume(() => {}), topic, queue, hub]) {
      const closing = handle.close({ drainMs: -1 })
      expect(await errorOf(closing)).toMatchObject({ code: 'bad_request' })
    }
  })

  it.each([
    ['connect', { drainMs: '5s' }],
    ['connect', { readTimeoutMs: Number.NaN }],
    ['connect', { reconnect: { minMs: 1 } }],
    ['connect', { reconnect: { maxMs: -1 } }],
    ['connect', { maxOutbox: 0 }],
    ['connect', { transports: 'websocket' }],
    ['connect', { transports: [] }],
    ['connect', { transports: ['webtransport'] }],
    ['connect', { token: 7 }],
    ['connect', { path: 'socket.io' }],
    ['connect', { socketOptions: 'secure' }],
    ['connect', { quiet: 'yes' }],
    ['subscribe', { from: 'beginning' }],
    ['subscribe', { from: 5 }],
    ['subscribe', { from: null }],
    ['subscribe', { from: { at: Number.NaN } }],
    ['subscribe', { from: { epoch: 'a' } }],
    ['publish', { timeoutMs: '1s' }],
    ['subscribe', { ack: 'none' }],
    ['subscribe', { onFailure: 'retry' }],
    ['subscribe', { retry: { baseMs: 'a' } }],
    ['request', { timeoutMs: 0 }],
    ['request', { timeoutMs: Infinity }],
    ['request', { timeoutMs: 2 ** 31 }],
    ['consume', { leaseMs: Infinity }],
    ['send', { delayMs: Infinity }],
    ['close', { drainMs: -1 }],
  ])('of %s that cannot be is refused: %o', async (call, options) => {
    expect(await refusal(call, options)).toMatchObject({ code: 'bad_request' })
  })

  it('of a place, a position or a listener is looked at too', async () => {
    const { url } = await startHub()
    const topic = open(url, { client: 'me' }).topic('orders')
    const { epoch, offset } = await topic.publish(1)
    await topic.publish(2)
    const subscription = topic.subscribe(() => {})
    for (const wrong of ['beginning', null, 5, { at: Infinity }]) {
      expect(await errorOf(subscription.seek(wrong as never))).toMatchObject({ code: 'bad_request' })
    }
    for (const wrong of [undefined, null, 5, { epoch }, { epoch, offset: 0.5 }]) {
      expect(await errorOf(subscription.ack(wrong as never))).toMatchObject({ code: 'bad_request' })
    }
    expect(() => subscription.onGap(undefined as never)).toThrow(expect.objectContaining({ code: 'bad_request' }))
    // An event is a position, and more.
    const { events } = await topic.read()
    await subscription.seek({ ...events[0], epoch, offset } as never)
    await until(() => subscription.position?.offset === 2)
  })

  it.each(['', 'foo bar', 'ftp://127.0.0.1', 'localhost:3000', 'http://', 7, null, undefined, {}])(
    'connect refuses %o as an address',
    (url) => {
      expect(() => connect(url as string)).toThrow(expect.objectContaining({ code: 'bad_request' }))
    },
  )

  it('retry takes at most a year', () => {
    expect(() => retry(Infinity)).toThrow(expect.objectContaining({ code: 'bad_request' }))
  })
})

describe('a time', () => {
  it.each(LONG)('of %d ms does not end at once', async (ms) => {
    const { url } = await startHub()
    const hub = open(url, { drainMs: ms, readTimeoutMs: ms, reconnect: { baseMs: 5, maxMs: ms } })
    const topic = hub.topic('orders')
    expect(await topic.publish(1, { timeoutMs: ms })).toMatchObject({ offset: 1 })
    expect(await topic.read()).toMatchObject({ last: 1 })
    const away = open('http://127.0.0.1:1', { readTimeoutMs: ms, reconnect: { baseMs: ms, maxMs: ms } })
    let over = 0
    const count = () => over++
    away.topic('a').publish(1, { timeoutMs: ms }).catch(count)
    away.topic('a').head().catch(count)
    let tries = 0
    topic.subscribe(
      () => {
        tries++
        throw new Error('no')
      },
      { from: 'start', retry: { baseMs: ms, maxMs: ms } },
    )
    await until(() => tries === 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect([over, tries]).toEqual([0, 1])
    let finish: (() => void) | undefined
    const worker = hub.queue('q').consume(
      () =>
        new Promise<void>((resolve) => {
          finish = resolve
        }),
    )
    await hub.queue('q').send(1)
    await until(() => finish !== undefined)
    let closed = false
    const closing = worker.close().then(() => {
      closed = true
    })
    await new Promise((resolve) => setTimeout(resolve, 50))
    expect(closed).toBe(false)
    finish?.()
    await closing
  })
})

describe('a receipt', () => {
  it('says when nothing was stored', async () => {
    const { url } = await startHub()
    const hub = open(url)
    const topic = hub.topic('orders')
    const [first, again, other] = await Promise.all([
      topic.publish(1, { id: 'a' }),
      topic.publish(2, { id: 'a' }),
      topic.publish(3, { id: 'b' }),
    ])
    expect([first.duplicate, again.duplicate, other.duplicate]).toEqual([undefined, true, undefined])
    const queue = hub.queue('orders')
    const jobs = await Promise.all(['a', 'a', 'b'].map((id) => queue.send(1, { id, delayMs: 60_000 })))
    expect(jobs.map(({ duplicate }) => duplicate)).toEqual([undefined, true, undefined])
    expect(await queue.remove('a')).toBe(true)
    expect((await queue.send(1, { id: 'a' })).duplicate).toBeUndefined()
  })
})

describe('what nobody listens to', () => {
  const warned = () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    atEnd(() => warn.mockRestore())
    return () => warn.mock.calls.map(([text]) => String(text))
  }

  it('a handler that fails and a takeover are told once', async () => {
    const { url } = await startHub()
    const told = warned()
    const hub = open(url, { quiet: false, client: 'me' })
    let failures = 0
    const sub = hub.topic('orders').subscribe(
      () => {
        failures++
        throw new Error('broken')
      },
      { onFailure: 'skip', maxAttempts: 1 },
    )
    await until(() => sub.status.state === 'live')
    const heard = hub.topic('others').subscribe(() => {
      throw new Error('heard')
    })
    heard.onError(() => {})
    await until(() => heard.status.state === 'live')
    await Promise.all([hub.topic('others').publish(1), hub.topic('orders').publish(1), hub.topic('orders').publish(2)])
    await until(() => failures === 2)
    open(url, { client: 'me' })
      .topic('orders')
      .subscribe(() => {})
    await within(sub.ended, 5_000, 'the takeover')
    expect(told()).toEqual([
      expect.stringMatching(/^reprise: a handler of orders failed for event 1 /),
      expect.stringMatching(/^reprise: the subscription of orders is over: taken_over: .* a client of its own/),
    ])
    const queue = hub.queue('jobs')
    queue.consume(() => {
      throw new Error('broken')
    })
    await queue.send(1)
    await until(() => told().length === 3)
    expect(told()[2]).toMatch(/^reprise: a handler of jobs failed for job /)
  })

  it('a hub that cannot be reached is told after a while, unless somebody watches or it is to be quiet', async () => {
    const told = warned()
    const silent = createTcpServer().listen(0, '127.0.0.1')
    await once(silent, 'listening')
    atEnd(() => void silent.close())
    const { port } = silent.address() as AddressInfo
    open(`http://127.0.0.1:${port}`, { quiet: false })
      .topic('orders')
      .head()
      .catch(() => {})
    const asked = open((await startHub()).url, { quiet: false, token: () => new Promise(() => {}) })
    asked.topic('orders').subscribe(() => {})
    const hubs = [{ quiet: false }, { quiet: true }, { quiet: false }].map((options) =>
      open('http://127.0.0.1:1', options),
    )
    const subs = hubs.map((hub) => hub.topic('orders').subscribe(() => {}))
    subs[2]?.onStatus(() => {})
    await until(() => told().length > 2, { deadlineMs: 15_000 })
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(told().sort()).toEqual([
      expect.stringMatching(/^reprise: no hub has answered at http:\/\/127.0.0.1:1\/ for 5 s/),
      expect.stringContaining(`no hub has answered at http://127.0.0.1:${port}/`),
      expect.stringContaining('the token function has not answered for 5 s'),
    ])
  })
})

describe('a token function that fails', () => {
  it('is told once, unless somebody watches', async () => {
    const { url } = await startHub()
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    atEnd(() => warn.mockRestore())
    const asked = [0, 0]
    const subs = asked.map((_, i) => {
      const token = () => {
        asked[i] = (asked[i] ?? 0) + 1
        throw new Error('no session')
      }
      return open(url, { quiet: false, token, reconnect: { baseMs: 1, maxMs: 5 } })
        .topic('orders')
        .subscribe(() => {})
    })
    subs[1]?.onStatus(() => {})
    await until(() => asked.every((times) => times > 2))
    expect(warn.mock.calls).toEqual([
      ['reprise: the token function failed; it is asked again', expect.objectContaining({ message: 'no session' })],
    ])
  })
})

describe('a middleware of the program around the hub', () => {
  it.each([
    ['bare', undefined, 'forbidden'],
    ['with data of its own', { reason: 'members only' }, 'forbidden'],
    ['with text', 'members', 'forbidden'],
    ['with a code of ours', { code: 'unauthorized' }, 'unauthorized'],
  ] as const)('refuses %s, and that arrives as it was said', async (_what, data, code) => {
    const http = createServer()
    const io = new Server(http)
    io.on('new_namespace', (namespace) => {
      namespace.use((_socket, next) => next(Object.assign(new Error('no entry'), data === undefined ? {} : { data })))
    })
    const hub = createHub({ store: await tempFolder() })
    const handle = open(await serveWith(hub, http, io))
    const sub = handle.topic('orders').subscribe(() => {})
    const refused = { code, message: 'no entry' }
    expect(await within(sub.ended, 5_000, 'the refusal')).toMatchObject({ code, error: refused })
    expect(await errorOf(handle.topic('others').publish(1))).toMatchObject(refused)
    expect(await errorOf(handle.topic('others').head())).toMatchObject(refused)
    expect(await errorOf(handle.queue('orders').send(1))).toMatchObject(refused)
    expect(await errorOf(handle.queue('orders').request(1))).toMatchObject(refused)
    expect(await within(handle.queue('orders').consume(() => {}).ended, 5_000, 'the end')).toMatchObject({ code })
  })
})
