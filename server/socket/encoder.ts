/**
 * Socket.IO's own wire, with one addition on the way out: a packet of events goes as the text it has already. Any client
 * with the standard parser reads it.
 */

import { Decoder, Encoder as StandardEncoder, type Packet as WirePacket } from 'socket.io-parser'
import { Packet } from '../core/topics/packet.ts'

/** Socket.IO's numbers of an event packet and of one with attachments. */
const EVENT = 2

class Encoder extends StandardEncoder {
  override encode(packet: WirePacket): (Buffer | string)[] {
    const { type, nsp, id, data } = packet
    if (type !== EVENT || !Array.isArray(data) || !(data[1] instanceof Packet)) return super.encode(packet)
    const namespace = nsp === undefined || nsp === '/' ? '' : `${nsp},`
    return [`${EVENT}${namespace}${id ?? ''}[${JSON.stringify(data[0])},${data[1].text}]`]
  }
}

/** For the `parser` option of Socket.IO's server. */
export const parser = { Encoder, Decoder }
