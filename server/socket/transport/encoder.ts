/**
 * Socket.IO's own wire, with one addition on the way out: a packet of events or jobs goes as the text that it has.
 * Any client with the standard parser reads it.
 */

import {
  type Decoder as StandardDecoder,
  Encoder as StandardEncoder,
  type Packet as WirePacket,
} from 'socket.io-parser'
import { JobsPacket } from '../../core/queues/delivery/packet.ts'
import { Packet } from '../../core/topics/packet.ts'
import { PreparedText } from '../prepared.ts'
import { Decoder } from './decoder.ts'

/** Socket.IO's number of an event packet. */
const EVENT = 2

class Encoder extends StandardEncoder {
  override encode(packet: WirePacket): (Buffer | string)[] {
    const { type, nsp, id, data } = packet
    const prepared: unknown = type === EVENT && Array.isArray(data) ? data.at(-1) : undefined
    if (!(prepared instanceof Packet || prepared instanceof JobsPacket)) return super.encode(packet)
    const namespace = nsp === undefined || nsp === '/' ? '' : `${nsp},`
    const before = JSON.stringify(data.slice(0, -1)).slice(0, -1)
    const head = `${EVENT}${namespace}${id ?? ''}${before},`
    if (prepared instanceof JobsPacket) return [`${head}${prepared.text}]`]
    // Socket.IO hands on what it is given.
    return [new PreparedText(head, prepared.utf8(']')) as unknown as string]
  }
}

/** For the `parser` option of Socket.IO's server. */
export const parser: { readonly Encoder: typeof StandardEncoder; readonly Decoder: typeof StandardDecoder } = {
  Encoder,
  Decoder,
}
