/**
 * Socket.IO's own wire on the way in, with two additions: a call with a number that would be changed is marked, and a
 * client may leave a namespace and enter it again in one packet burst.
 */

import { Decoder as StandardDecoder, type Packet as WirePacket } from 'socket.io-parser'
import { changedNumber } from '../../../shared/exactNumbers.ts'

/** Stands in the place of a call's arguments that cannot be taken as they came. */
export class ChangedNumber {
  readonly number: string

  constructor(number: string) {
    this.number = number
  }
}

interface TextDecoder {
  decodeString(text: string): WirePacket
}

/** Socket.IO's numbers of an event packet and of one with attachments. */
const EVENTS = [2, 5]
/** And of the one that leaves a namespace. */
const DISCONNECT = 1

export class Decoder extends StandardDecoder {
  constructor(options?: ConstructorParameters<typeof StandardDecoder>[0]) {
    super(options)
    const self = this as unknown as TextDecoder
    const decode = self.decodeString.bind(this)
    self.decodeString = (text) => {
      const packet = decode(text)
      if (!EVENTS.includes(packet.type) || !Array.isArray(packet.data)) return packet
      const number = changedNumber(text.slice(text.indexOf('[')))
      // Its name and the number of its reply stay, so that it can be answered.
      if (number !== undefined) packet.data[1] = new ChangedNumber(number)
      return packet
    }
  }

  /**
   * Socket.IO leaves a namespace a tick later, and until then closes the connection of a client that enters it again: what
   * came behind waits for that.
   */
  override on(event: 'decoded', listener: (packet: WirePacket) => void): this {
    let held: WirePacket[] | undefined
    const take = (packet: WirePacket) => {
      if (held !== undefined) {
        held.push(packet)
        return
      }
      listener(packet)
      if (packet.type !== DISCONNECT) return
      const late: WirePacket[] = []
      held = late
      process.nextTick(() => {
        held = undefined
        if (this.hasListeners(event)) for (const one of late) take(one)
      })
    }
    // By `fn` the emitter knows whose listener it is when it is taken away.
    return super.on(event, Object.assign(take, { fn: listener }))
  }
}
