/**
 * One of the tabs that share a connection. The one with the lock leads and has the connection; the others follow. When it goes,
 * the lock goes to another one at once. From one that is frozen or blocked it is taken away.
 */

import { Follower } from './follower.ts'
import { Host } from './host.ts'
import { type Held, hold, holderOf } from './locks.ts'
import { type Call, isHere, lifeOf } from './messages.ts'
import type { Pipe } from './pipe.ts'
import { Relay, type Uplink } from './relay.ts'

export { storageName } from '../names.ts'
export { occupyAny } from '../occupancy.ts'

/** The handle that takes part. */
export interface Sharer {
  became(shared: 'leader' | 'follower' | 'alone' | undefined, error?: unknown): void
  /** There is somebody new to ask. */
  again(): void
}

export class Tabs {
  readonly #name: string
  readonly #uplink: Uplink
  readonly #sharer: Sharer
  #tab: Tab | undefined
  #away = false
  readonly #over = new AbortController()

  constructor(name: string, uplink: Uplink, sharer: Sharer) {
    this.#name = name
    this.#uplink = uplink
    this.#sharer = sharer
    const { signal } = this.#over
    const { document } = globalThis
    let hiding: ReturnType<typeof setTimeout> | undefined
    const back = () => {
      clearTimeout(hiding)
      hiding = undefined
      this.#away = false
    }
    const leave = () => {
      this.#away = true
      this.#leave()
    }
    // Behind all that others have to say before the page is left: what is seen is hidden then, the other may be frozen at once.
    const hide = () => {
      hiding = setTimeout(leave)
    }
    const hidden = () => {
      if (hiding !== undefined && document.visibilityState === 'hidden') leave()
    }
    addEventListener('pagehide', hide, { signal })
    addEventListener('pageshow', back, { capture: true, signal })
    document?.addEventListener('visibilitychange', hidden, { signal })
    document?.addEventListener('freeze', leave, { signal })
    document?.addEventListener('resume', back, { capture: true, signal })
  }

  open(pipe: Pipe): void {
    // A page in the cache holds nothing up, and what it has not done before it is frozen waits until it is back.
    if (this.#away) {
      pipe.end()
      return
    }
    this.#tab ??= new Tab(this.#name, this.#uplink, this.#sharer)
    this.#tab.open(pipe)
  }

  close(): void {
    this.#over.abort()
    this.#leave()
  }

  #leave(): void {
    if (this.#tab === undefined) return
    this.#tab.leave()
    this.#tab = undefined
    this.#sharer.became(undefined)
  }
}

/** From where a page takes part until it leaves. */
class Tab {
  readonly #id = crypto.randomUUID()
  readonly #name: string
  readonly #uplink: Uplink
  readonly #sharer: Sharer
  readonly #calls: BroadcastChannel
  readonly #leaving = new AbortController()
  /** Of the waiting for the lock. */
  #queueing = new AbortController()
  #taking = false
  #follower: Follower | undefined
  #relay: Relay | undefined
  #host: Host | undefined
  #held: Held | undefined
  /** The page that had the lock when this one looked for who leads. */
  #holder: string | undefined
  readonly #early: Pipe[] = []
  /** Where nothing is shared: each pipe has a connection of its own. */
  #own: Set<Relay> | undefined

  constructor(name: string, uplink: Uplink, sharer: Sharer) {
    this.#name = name
    this.#uplink = uplink
    this.#sharer = sharer
    this.#calls = new BroadcastChannel(name)
    this.#calls.onmessage = ({ data }: MessageEvent<Call>) => this.#hear(data)
    this.#begin().catch((error: unknown) => this.#alone(error))
  }

  open(pipe: Pipe): void {
    if (this.#own !== undefined) this.#openOwn(this.#own, pipe)
    else if (this.#relay !== undefined) attach(this.#relay, pipe)
    else if (this.#follower !== undefined) this.#follower.attach(pipe)
    else this.#early.push(pipe)
  }

  leave(): void {
    if (this.#left) return
    this.#leaving.abort()
    this.#queueing.abort()
    this.#calls.close()
    for (const pipe of [...(this.#follower?.close() ?? []), ...this.#early]) pipe.end()
    this.#host?.close()
    this.#relay?.close()
    for (const relay of this.#own ?? []) relay.close()
    this.#held?.release()
  }

  get #left(): boolean {
    return this.#leaving.signal.aborted
  }

  async #begin(): Promise<void> {
    const life = await hold(lifeOf(this.#name, this.#id), {})
    this.#leaving.signal.addEventListener('abort', life.release)
    if (this.#left) life.release()
    else if (this.#own === undefined) this.#follow()
  }

  #follow(): void {
    this.#follower = new Follower(this.#name, this.#id, this.#calls, {
      welcomed: () => {
        this.#sharer.became('follower')
        this.#sharer.again()
      },
      unanswered: () => void this.#takeOver().catch(() => {}),
    })
    this.#seek()
    for (const pipe of this.#early.splice(0)) this.#follower.attach(pipe)
    const queueing = new AbortController()
    this.#queueing = queueing
    hold(this.#name, { signal: queueing.signal }).then(
      (held) => this.#lead(held),
      (error: unknown) => {
        if (!queueing.signal.aborted && this.#held === undefined) this.#alone(error)
      },
    )
  }

  #seek(): void {
    this.#follower?.seek()
    holderOf(this.#name).then(
      (holder) => {
        this.#holder = holder
      },
      () => {},
    )
  }

  #hear(call: Call): void {
    if (call.kind === 'alone') this.#alone(placeless())
    else if (this.#own !== undefined) {
      if (this.#held !== undefined && call.kind === 'follows') this.#call({ kind: 'alone' })
    } else if (call.kind === 'follows') this.#host?.welcome(call.tab)
    else void this.#led(call.tab)
  }

  async #led(tab: string): Promise<void> {
    // One that leads still, and should not any more, hears of it by its lock.
    if ((await isHere(this.#name, tab)) && !this.#left && this.#host === undefined) this.#seek()
  }

  /** The leader is there and says nothing. Of several that find this one takes its lock. */
  async #takeOver(): Promise<void> {
    if (this.#taking) return
    this.#taking = true
    const signal = this.#leaving.signal
    try {
      const turn = await hold(`${this.#name} turn`, { signal })
      try {
        const holder = await holderOf(this.#name)
        const isDead = holder !== undefined && holder === this.#holder
        if (isDead && this.#follower !== undefined && !this.#left) this.#lead(await hold(this.#name, { steal: true }))
      } finally {
        turn.release()
      }
    } finally {
      this.#taking = false
    }
  }

  #lead(held: Held): void {
    if (this.#left || this.#follower === undefined) {
      held.release()
      return
    }
    this.#held = held
    held.stolen = () => this.#deposed()
    this.#queueing.abort()
    const relay = new Relay(this.#uplink, () => {
      this.#call({ kind: 'alone' })
      this.#alone(placeless())
    })
    this.#relay = relay
    for (const pipe of this.#waiting()) attach(relay, pipe)
    this.#host = new Host(this.#name, this.#id, relay)
    this.#call({ kind: 'leads', tab: this.#id })
    this.#sharer.became('leader')
    this.#sharer.again()
  }

  #deposed(): void {
    this.#held = undefined
    if (this.#left || this.#own !== undefined) return
    this.#host?.close()
    this.#relay?.close()
    this.#host = this.#relay = undefined
    this.#follow()
  }

  /** From here on, with the lock if it has it: no other tab is to find out what this one knows. */
  #alone(error: unknown): void {
    if (this.#left || this.#own !== undefined) return
    const own = new Set<Relay>()
    this.#own = own
    this.#queueing.abort()
    this.#host?.close()
    this.#relay?.close()
    this.#host = this.#relay = undefined
    for (const pipe of this.#waiting()) this.#openOwn(own, pipe)
    this.#sharer.became('alone', error)
    this.#sharer.again()
  }

  #openOwn(own: Set<Relay>, pipe: Pipe): void {
    const relay = new Relay(this.#uplink, () => {})
    own.add(relay)
    attach(relay, pipe, () => own.delete(relay))
  }

  /** Those that wait for a connection; it follows no more. */
  #waiting(): Pipe[] {
    const waiting = [...this.#early.splice(0), ...(this.#follower?.close() ?? [])]
    this.#follower = undefined
    return waiting
  }

  #call(call: Call): void {
    this.#calls.postMessage(call)
  }
}

function placeless(): Error {
  return new Error('the hub is of an older version, and cannot serve several tabs over one connection')
}

/** Within the page. */
function attach(relay: Relay, pipe: Pipe, gone = () => {}): void {
  if (pipe.closed) return
  const close = () => {
    gone()
    pipe.end()
  }
  const member = relay.member({ deliver: (data) => pipe.receive(data), close })
  pipe.lead({
    send: (data) => member.take(data),
    close: () => {
      gone()
      member.leave()
    },
  })
  member.join()
}
