/**
 * Packets of Socket.IO as they are on the wire, as far as tabs that share a connection read them: of which kind, in which
 * namespace, with how many attachments. The rest of them passes as it is.
 */

/** Socket.IO's numbers of packets. */
export const CONNECT = 0
export const DISCONNECT = 1
export const EVENT = 2
export const ACK = 3
export const CONNECT_ERROR = 4

export interface Frame {
  readonly type: number
  /** Binary frames that follow. */
  readonly attachments: number
  readonly namespace: string
  /** Which of the connection's places in the namespace: the first has no number. */
  readonly place: number
  readonly rest: string
}

const HEAD = /^([0-6])(?:(\d+)-)?(\/[^,#]+)(?:#(\d+))?,/

/** `undefined` for what belongs to no namespace of the hub. */
export function readFrame(text: string): Frame | undefined {
  const head = HEAD.exec(text)
  if (head === null) return undefined
  const [whole, type, attachments = '0', namespace = '', place = '1'] = head
  return {
    type: Number(type),
    attachments: Number(attachments),
    namespace,
    place: Number(place),
    rest: text.slice(whole.length),
  }
}

export function frameText({ type, attachments, namespace, rest }: Frame, place: number): string {
  return `${type}${attachments > 0 ? `${attachments}-` : ''}${namespace}${place > 1 ? `#${place}` : ''},${rest}`
}
