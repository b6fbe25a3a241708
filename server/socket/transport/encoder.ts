/**
 * Socket.IO's own wire, with one addition on the way out: a packet of events or jobs goes as the text it has already.
 * Any client with the standard parser reads it.
 */

import {
  type Decoder as StandardDecoder,
  Encoder as StandardEncoder,
  type Packet as WirePacket,
} from 'socket.io-parser'
import { JobsPacket } from '../../core/queues/delivery/packet.ts'
import { Packet } from '../../core/topics/packet.ts'
import { Decoder } from './decoder.ts'

/** Socket.IO's numbers of an event packet and of one with attachments. */
const EVENT = 2

class Encoder extends StandardEncoder {
  override encode(packet: WirePacket): (Buffer | string)[] {
    const { type, nsp, id, data } = packet
    const prepared: unknown = type === EVENT && Array.isArray(data) ? data.at(-1) : undefined
    if (!(prepared instanceof Packet || prepared instanceof JobsPacket)) return super.encode(packet)
    const namespace = nsp === undefined || nsp === '/' ? '' : `${nsp},`
    const before = JSON.stringify(data.slice(0, -1)).slice(0, -1)
    return [`${EVENT}${namespace}${id ?? ''}${before},${prepared.text}]`]
  }
}

/** For the `parser` option of Socket.IO's server. */
export const parser: { readonly Encoder: typeof StandardEncoder; readonly Decoder: typeof StandardDecoder } = {
  Encoder,
  Decoder,
}
