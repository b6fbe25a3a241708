/**
 * The one connection of all tabs, in the tab that leads: what its members send goes to the hub, each in places of its own in
 * the namespaces, and what the hub sends goes to the member whose place it is. To a member it is what a hub would be.
 */

import type { Manager } from 'socket.io-client'
import type { QUEUES_NAMESPACE } from '../../../shared/queues.ts'
import { ACK, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, type Frame, frameText, readFrame } from './frames.ts'
import type { Data } from './pipe.ts'

/** Engine.IO's packets: the handshake, heartbeats, and in front of a text. */
const OPEN = '0'
const PING = '2'
const PONG = '3'
const MESSAGE = '4'
/** Said here too: this is loaded apart from whatever else says it. */
const QUEUES: typeof QUEUES_NAMESPACE = '/queues'
/** The call that leaves it as if the connection was lost, with its number, and how its refusal begins. */
const AWAY = '0["away"]'
const REFUSED = '0[{"ok":false'
/** What a hub that knows one place a namespace says of others: they are no names. The SDK itself makes no such names. */
const UNKNOWN: ReadonlySet<unknown> = new Set(['bad_request', 'not_found'])
const INVALID = 'Invalid namespace'
/** A member that has not answered a heartbeat for so long, when the next one comes, is gone. */
const SILENT_MS = 20_000

/** The way to a member. */
export interface Port {
  deliver(data: Data): void
  /** There is no connection any more. */
  close(): void
}

/** Of a WebSocket. */
const OPENED = 1

interface RawEngine {
  /** One over WebSocket has a `ws`. */
  readonly transport: { readonly ws?: { readonly readyState: number } }
  on(event: 'handshake', listener: (handshake: object) => void): void
  write(data: Data): void
  _hasPingExpired(): boolean
}

/** Gives what Socket.IO's connection gets to `take`, as it came. */
function rawParser(take: (data: Data) => void) {
  class Raw {
    add = take
    on(): this {
      return this
    }
    off(): this {
      return this
    }
    encode(): [] {
      return []
    }
    destroy(): void {}
  }
  return { Encoder: Raw, Decoder: Raw }
}

export type Uplink = (parser: ReturnType<typeof rawParser>) => Manager

export class Relay {
  readonly #manager: Manager
  readonly #placeless: () => void
  /** By the number of their place. */
  readonly #members = new Map<number, Member>()
  /** Members that wait for the connection. */
  readonly #waiting = new Set<Member>()
  /** By the number of their place: namespaces whose handshake the hub has not answered, or that it is asked to leave. */
  readonly #passing = new Map<number, Set<string>>()
  #handshake: object = {}
  /** Whose binary frames come next, and how many. */
  #binary: { readonly member: Member | undefined; left: number } = { member: undefined, left: 0 }

  /** `placeless`: the hub is of an older version, and serves one member only. */
  constructor(uplink: Uplink, placeless: () => void) {
    this.#placeless = placeless
    this.#manager = uplink(rawParser((data) => this.#take(data)))
    this.#manager.on('open', () => {
      for (const member of this.#waiting) this.#welcome(member)
      this.#waiting.clear()
    })
    this.#manager.on('error', () => {
      if (this.#manager._readyState === 'closed') this.#lost()
    })
    this.#manager.on('close', () => this.#lost())
    this.#manager.on('ping', () => {
      for (const member of [...this.#members.values()]) member.ping()
    })
  }

  get #engine(): RawEngine {
    return (this.#manager as unknown as { readonly engine: RawEngine }).engine
  }

  /** A member that has not joined yet. */
  member(port: Port): Member {
    const member: Member = new Member(port, {
      join: () => this.#join(member),
      send: (frame, binary) => this.#send(member, frame, binary),
      left: () => this.#left(member),
    })
    return member
  }

  #join(member: Member): void {
    // It may have died while all slept.
    if (this.#manager._readyState === 'open' && this.#engine._hasPingExpired()) this.#manager._close()
    if (this.#manager._readyState === 'open') this.#welcome(member)
    else {
      this.#waiting.add(member)
      if (this.#manager._readyState === 'closed') this.#open()
    }
  }

  close(): void {
    this.#manager._close()
    this.#lost()
  }

  #open(): void {
    this.#manager.open()
    this.#engine.on('handshake', (handshake) => {
      this.#handshake = handshake
    })
  }

  #welcome(member: Member): void {
    let place = 1
    while (this.#members.has(place) || this.#passing.has(place)) place++
    member.place = place
    this.#members.set(place, member)
    member.deliver(OPEN + JSON.stringify({ ...this.#handshake, upgrades: [] }))
  }

  #lost(): void {
    const members = [...this.#members.values(), ...this.#waiting]
    this.#members.clear()
    this.#waiting.clear()
    this.#passing.clear()
    this.#binary = { member: undefined, left: 0 }
    for (const member of members) member.close()
  }

  #left(member: Member): void {
    this.#waiting.delete(member)
    if (this.#members.get(member.place) === member) {
      this.#members.delete(member.place)
      for (const namespace of member.inside) this.#leave(namespace, member.place)
    }
    if (this.#members.size + this.#waiting.size === 0) this.#manager._close()
  }

  /** As a connection that is lost: jobs are kept for whoever comes back for them. */
  #leave(namespace: string, place: number): void {
    if (namespace === QUEUES) {
      this.#pass(namespace, place)
      this.#write(EVENT, namespace, place, AWAY)
    } else this.#write(DISCONNECT, namespace, place)
  }

  #write(type: number, namespace: string, place: number, rest = ''): void {
    this.#put(frameText({ type, attachments: 0, namespace, place, rest }, place))
  }

  /** A page that stood still hears later that its connection was closed: the browser calls an error what is written then. */
  #put(data: Data): void {
    const { ws } = this.#engine.transport
    if (ws === undefined || ws.readyState === OPENED) this.#engine.write(data)
  }

  #pass(namespace: string, place: number): void {
    this.#passing.set(place, (this.#passing.get(place) ?? new Set()).add(namespace))
  }

  #passed(namespace: string, place: number): void {
    const passing = this.#passing.get(place)
    passing?.delete(namespace)
    if (passing?.size === 0) this.#passing.delete(place)
  }

  #send(member: Member, frame: Frame, binary: readonly Data[]): void {
    const { place } = member
    if (this.#members.get(place) !== member) return
    if (frame.type === CONNECT) this.#pass(frame.namespace, place)
    else if (frame.type === DISCONNECT) member.inside.delete(frame.namespace)
    this.#put(frameText(frame, place))
    for (const data of binary) this.#put(data)
  }

  #take(data: Data): void {
    if (typeof data !== 'string') {
      if (this.#binary.left-- > 0) this.#binary.member?.deliver(data)
      return
    }
    const frame = readFrame(data)
    if (frame === undefined) return
    const { type, attachments, namespace, place } = frame
    const member = this.#members.get(place)
    this.#binary = { member, left: attachments }
    if (type === CONNECT || type === CONNECT_ERROR || type === DISCONNECT) this.#passed(namespace, place)
    if (type === CONNECT) member?.inside.add(namespace)
    else if (type === DISCONNECT) member?.inside.delete(namespace)
    if (type === CONNECT_ERROR && place > 1 && isUnknown(frame)) this.#placeless()
    else if (member !== undefined) member.deliver(MESSAGE + frameText(frame, 1))
    else if (type === CONNECT) this.#leave(namespace, place)
    else if (type === ACK && frame.rest.startsWith(REFUSED)) {
      this.#passed(namespace, place)
      this.#write(DISCONNECT, namespace, place)
    }
  }
}

function isUnknown({ rest }: Frame): boolean {
  const { message, data } = JSON.parse(rest) as {
    readonly message?: unknown
    readonly data?: { readonly code?: unknown }
  }
  return data ? UNKNOWN.has(data.code) : message === INVALID
}

interface MemberOwner {
  join(): void
  send(frame: Frame, binary: readonly Data[]): void
  left(): void
}

/** A connection of a tab, seen from the connection of all. */
export class Member {
  place = 0
  /** The namespaces that it is in. */
  readonly inside = new Set<string>()
  readonly #port: Port
  readonly #owner: MemberOwner
  /** A packet whose attachments are not all there: they go together. */
  #waiting: { readonly frame: Frame; readonly binary: Data[] } | undefined
  /** When it was asked whether it is there. */
  #askedAt: number | undefined

  constructor(port: Port, owner: MemberOwner) {
    this.#port = port
    this.#owner = owner
  }

  /** It is told when there is a connection. */
  join(): void {
    this.#owner.join()
  }

  deliver(data: Data): void {
    this.#port.deliver(data)
  }

  ping(): void {
    const now = performance.now()
    if (this.#askedAt !== undefined && now - this.#askedAt > SILENT_MS) {
      this.close()
      this.leave()
      return
    }
    this.#askedAt ??= now
    this.deliver(PING)
  }

  /** From the member. */
  take(data: Data): void {
    if (typeof data !== 'string') {
      const waiting = this.#waiting
      if (waiting === undefined) return
      if (waiting.binary.push(data) < waiting.frame.attachments) return
      this.#waiting = undefined
      this.#owner.send(waiting.frame, waiting.binary)
    } else if (data === PONG) this.#askedAt = undefined
    else if (data.startsWith(MESSAGE)) {
      const frame = readFrame(data.slice(MESSAGE.length))
      if (frame === undefined) return
      if (frame.attachments > 0) this.#waiting = { frame, binary: [] }
      else this.#owner.send(frame, [])
    }
  }

  /** It goes. */
  leave(): void {
    this.#owner.left()
  }

  close(): void {
    this.#port.close()
  }
}
