/** Socket.IO's own wire on the way in, with one addition: a call with a number that would be changed is marked. */

import { Decoder as StandardDecoder, type Packet as WirePacket } from 'socket.io-parser'
import { changedNumber } from '../../shared/exactNumbers.ts'

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
}
