/**
 * A packet whose last part is there as bytes. To Engine.IO it is a text like others; where it goes by WebSocket, those
 * bytes go out as they are, the same ones to every client.
 */

import type { Socket } from 'socket.io'

type Connection = Socket['conn']

/** Engine.IO's number of a message. */
const MESSAGE = '4'
/** A whole message of text, from a server. */
const TEXT_FRAME = 0x81
/** What stands for the length of a frame where it takes two bytes more, or eight. */
const U16_LENGTH = 126
const U64_LENGTH = 127

export class PreparedText {
  readonly #head: string
  readonly #rest: Buffer
  #frame: [Buffer, Buffer] | undefined

  constructor(head: string, rest: Buffer) {
    this.#head = head
    this.#rest = rest
  }

  get length(): number {
    return this.#head.length + this.#rest.length
  }

  toString(): string {
    return this.#head + this.#rest.toString()
  }

  /** As `WebSocket.Sender.frame` of ws makes them. */
  get frame(): readonly [Buffer, Buffer] {
    this.#frame ??= [frameHead(Buffer.from(MESSAGE + this.#head), this.#rest.length), this.#rest]
    return this.#frame
  }
}

function frameHead(text: Buffer, more: number): Buffer {
  const length = text.length + more
  const size = length < U16_LENGTH ? 2 : length < 2 ** 16 ? 4 : 10
  const head = Buffer.allocUnsafe(size + text.length)
  head[0] = TEXT_FRAME
  if (size === 2) head[1] = length
  else if (size === 4) {
    head[1] = U16_LENGTH
    head.writeUInt16BE(length, 2)
  } else {
    head[1] = U64_LENGTH
    head.writeUIntBE(0, 2, 2)
    head.writeUIntBE(length, 4, 6)
  }
  text.copy(head, size)
  return head
}

/** From now on. */
export function sendPrepared(connection: Connection): void {
  connection.on('packetCreate', ({ data, options }: { data?: unknown; options: { wsPreEncodedFrame?: unknown } }) => {
    if (data instanceof PreparedText) options.wsPreEncodedFrame = data.frame
  })
}
