/** As much of NATS's protocol as the benchmark needs: https://docs.nats.io/reference/reference-protocols/nats-protocol */

import { connect, type Socket } from 'node:net'

const CR = 13
const ZERO = 48
const LINE_END = Buffer.from('\r\n')
/** "MSG " at the beginning of a line; nothing else that the server says begins with these two letters. */
const [M, S] = Buffer.from('MS')

/** A message: where its payload stands in the chunk. */
export type Take = (chunk: Buffer, from: number, to: number) => void

export class NatsLink {
  readonly #socket: Socket
  readonly #takes = new Map<number, Take>()
  #rest: Buffer = Buffer.alloc(0)
  #lastId = 0
  #pongs: (() => void)[] = []
  /** What goes out in this turn, in one write. */
  #out: (string | Buffer)[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.setNoDelay(true)
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    this.#write('CONNECT {"verbose":false,"pedantic":false,"lang":"node","version":"1","protocol":1}\r\n')
  }

  static async open(port: number): Promise<NatsLink> {
    const socket = connect(port, '127.0.0.1')
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    const link = new NatsLink(socket)
    await link.settled()
    return link
  }

  /** Resolves when the server has taken everything that was written before. */
  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#pongs.push(resolve)
      this.#write('PING\r\n')
    })
  }

  subscribe(subject: string, take: Take): void {
    const id = ++this.#lastId
    this.#takes.set(id, take)
    this.#write(`SUB ${subject} ${id}\r\n`)
  }

  publish(subject: string, reply: string, payload: string): void {
    this.#write(`PUB ${subject} ${reply} ${Buffer.byteLength(payload)}\r\n${payload}\r\n`)
  }

  /** A call of the server's own, answered with JSON. Rejects with its error. */
  async request(subject: string, body: object): Promise<void> {
    const inbox = `_INBOX.${Math.random().toString(36).slice(2)}`
    const answered = new Promise<string>((resolve) => {
      this.subscribe(inbox, (chunk, from, to) => resolve(chunk.toString('utf8', from, to)))
    })
    this.publish(subject, inbox, JSON.stringify(body))
    const answer = JSON.parse(await answered) as { error?: { description: string } }
    if (answer.error !== undefined) throw new Error(`${subject}: ${answer.error.description}`)
  }

  #write(text: string): void {
    this.#out.push(text)
    if (this.#out.length > 1) return
    queueMicrotask(() => {
      this.#socket.write(this.#out.join(''))
      this.#out = []
    })
  }

  #read(chunk: Buffer): void {
    const data = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk])
    let at = 0
    for (;;) {
      const end = data.indexOf(LINE_END, at)
      if (end < 0) break
      if (data[at] !== M || data[at + 1] !== S) {
        this.#heard(data.toString('latin1', at, end))
        at = end + 2
        continue
      }
      const bytes = numberBefore(data, end)
      const from = end + 2
      if (from + bytes + 2 > data.length) break
      this.#takes.get(idOf(data, at))?.(data, from, from + bytes)
      at = from + bytes + 2
    }
    this.#rest = data.subarray(at)
  }

  #heard(line: string): void {
    if (line === 'PING') this.#write('PONG\r\n')
    else if (line === 'PONG') this.#pongs.shift()?.()
    else if (line.startsWith('-ERR')) throw new Error(`NATS: ${line}`)
  }
}

/** The digits that end there. */
function numberBefore(data: Buffer, end: number): number {
  let value = 0
  let unit = 1
  for (let i = end - 1; ; i--) {
    const digit = (data[i] ?? 0) - ZERO
    if (digit < 0 || digit > 9) return value
    value += digit * unit
    unit *= 10
  }
}

/** Of `MSG subject id …`. */
function idOf(data: Buffer, start: number): number {
  const first = data.indexOf(32, start + 4) + 1
  let value = 0
  for (let i = first; ; i++) {
    const digit = (data[i] ?? 0) - ZERO
    if (digit < 0 || digit > 9 || data[i] === CR) return value
    value = value * 10 + digit
  }
}
