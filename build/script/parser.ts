/** Packets of Socket.IO as text and attachments: what `socket.io-parser` does for its client. */

import { Emitter } from './emitter.ts'

export interface Packet {
  readonly type: number
  readonly nsp: string
  readonly id?: number
  readonly data?: unknown
}

const CONNECT = 0
const DISCONNECT = 1
const EVENT = 2
const ACK = 3
const CONNECT_ERROR = 4
/** From a packet's number to that of the same one with attachments. */
const WITH_BINARY = 3
const MAX_ATTACHMENTS = 10

/** Its number, how many attachments follow, its namespace, the number of a call, and its data. */
const TEXT = /^([0-6])(?:(\d+)-)?(?:(\/[^,]*),?)?(\d*)(.*)$/s
const RESERVED = ['connect', 'connect_error', 'disconnect', 'disconnecting', 'newListener', 'removeListener']

export class Encoder {
  encode({ type, nsp, id, data }: Packet): unknown[] {
    const attachments: unknown[] = []
    const json = JSON.stringify(data, (_, value) => {
      const apart = isBinary(value) && (type === EVENT || type === ACK)
      return apart ? { _placeholder: true, num: attachments.push(value) - 1 } : value
    })
    const many = attachments.length
    const head = many > 0 ? `${type + WITH_BINARY}${many}-` : type
    return [`${head}${nsp === '/' ? '' : `${nsp},`}${id ?? ''}${json ?? ''}`, ...attachments]
  }
}

export class Decoder extends Emitter {
  /** A packet whose attachments are not all there. */
  waiting:
    | { readonly packet: Packet; readonly json: string; readonly many: number; readonly got: unknown[] }
    | undefined

  /** Throws for what is no packet. */
  add(data: unknown): void {
    const { waiting } = this
    const isText = typeof data === 'string'
    if (isText === (waiting !== undefined)) throw new Error('a packet and its attachments are mixed up')
    if (isText) {
      const [, digit, count, nsp = '/', id, json = ''] = TEXT.exec(data) ?? []
      const type = Number(digit)
      const many = Number(count ?? 0)
      if (!(type > CONNECT_ERROR ? many > 0 && many <= MAX_ATTACHMENTS : count === undefined && type >= CONNECT)) {
        throw new Error('unknown packet type or illegal attachments')
      }
      const packet = { type: many > 0 ? type - WITH_BINARY : type, nsp, ...(id && { id: Number(id) }) }
      if (many > 0) this.waiting = { packet, json, many, got: [] }
      else this.emitReserved('decoded', withData(packet, json))
    } else if (waiting !== undefined && waiting.got.push(data) === waiting.many) {
      this.waiting = undefined
      this.emitReserved('decoded', withData(waiting.packet, waiting.json, waiting.got))
    }
  }

  /** What is not whole is forgotten. */
  destroy(): void {
    this.waiting = undefined
  }
}

function withData(packet: Packet, json: string, attachments?: readonly unknown[]): Packet {
  if (json === '') return packet
  const put = (_: string, value: { readonly _placeholder?: unknown; readonly num?: unknown } | null) => {
    if (value?._placeholder !== true) return value
    const attachment = typeof value.num === 'number' ? attachments?.[value.num] : undefined
    if (attachment === undefined) throw new Error('illegal attachments')
    return attachment
  }
  const data: unknown = JSON.parse(json, attachments && put)
  if (!fits(packet.type, data)) throw new Error('invalid payload')
  return { ...packet, data }
}

function fits(type: number, data: unknown): boolean {
  const isObject = typeof data === 'object' && data !== null && !Array.isArray(data)
  if (type === CONNECT || type === CONNECT_ERROR)
    return isObject || (type === CONNECT_ERROR && typeof data === 'string')
  if (type === DISCONNECT || !Array.isArray(data)) return false
  const [name] = data as readonly unknown[]
  return type === ACK || typeof name === 'number' || (typeof name === 'string' && !RESERVED.includes(name))
}

function isBinary(value: unknown): boolean {
  return value instanceof ArrayBuffer || ArrayBuffer.isView(value) || value instanceof Blob
}
