/**
 * What the script for browsers leaves out of Socket.IO's client and `idb`: what the SDK does not call, what only old browsers or
 * Node need, and how it reconnects, as connections of the SDK do that themselves.
 */

export interface Edits {
  /** Members of its classes that are left out. */
  readonly without?: readonly string[]
  /** What stands for what, everywhere in the module. Each has to be there. A dot is a line's end too. */
  readonly put?: readonly (readonly [string | RegExp, string])[]
}

const PACKET_TYPES = ['CONNECT', 'DISCONNECT', 'EVENT', 'ACK', 'CONNECT_ERROR', 'BINARY_EVENT', 'BINARY_ACK']
const typesOf = (...numbers: number[]) =>
  numbers.map((n) => [new RegExp(`PacketType\\.${PACKET_TYPES[n]}\\b`), `${n}`] as const)

/** Timers are those of the page. */
const TIMERS = [
  [', this.setTimeoutFn)', ')'],
  ['this.setTimeoutFn', 'setTimeout'],
  ['this.clearTimeoutFn', 'clearTimeout'],
] as const

/** By the end of a module's path. */
export const EDITS: Readonly<Record<string, Edits>> = {
  'socket.io-client/build/esm/manager.js': {
    without: [
      ...['reconnection', 'reconnectionAttempts', 'reconnectionDelay', 'randomizationFactor', 'reconnectionDelayMax'],
      ...['timeout', 'maybeReconnectOnOpen', 'connect', 'disconnect', 'reconnect', 'onreconnect'],
    ],
    put: [
      [/this\.(backoff|_autoConnect) = [^;]*;/, ''],
      [/this\.(reconnection|randomization)\w*\([^;]*;/, ''],
      ['this.timeout(', 'this._timeout = ('],
      [/this\.(backoff\.reset|maybeReconnectOnOpen)\(\);/, ''],
      [/this\.(skipReconnect|_reconnecting) = \w+;/, ''],
      [/this\.(_autoConnect|_reconnection|opts\.autoUnref)/, 'false'],
      ...TIMERS,
      ['uri && "object" === typeof uri', 'false'],
      ['import * as parser', 'import { Decoder, Encoder }'],
      ['opts.parser || parser', 'opts.parser || { Decoder, Encoder }'],
      ['fn && fn();', ''],
      ['if (fn)', 'if (false)'],
    ],
  },
  'socket.io-client/build/esm/socket.js': {
    without: [
      ...['disconnected', 'open', 'send', 'close', 'compress', 'volatile', 'timeout', '_addToQueue', '_drainQueue'],
      ...['onAny', 'prependAny', 'offAny', 'listenersAny', 'notifyOutgoingListeners'],
      ...['onAnyOutgoing', 'prependAnyOutgoing', 'offAnyOutgoing', 'listenersAnyOutgoing'],
    ],
    put: [
      ['import { PacketType } from "socket.io-parser";', ''],
      ...typesOf(0, 1, 2, 3, 4, 5, 6),
      [/this\.(_queue|_queueSeq|_opts|flags|recovered) = [^;]*;/, ''],
      [/this\.(_drainQueue|notifyOutgoingListeners)\(\w+\);/, ''],
      [/opts && opts\.auth|this\.io\._autoConnect|this\._opts\.retries|this\.flags\.volatile/, 'false'],
      ['this.flags.compress !== false', 'true'],
      [/const (timeout|isTransportWritable) = [^;]*;/, ''],
      [/(?<=_registerAckCallback\(id, ack\) \{).*?\n {4}\}/, 'this.acks[id] = ack }'],
      ['this._anyListeners && this._anyListeners.length', 'false'],
      ['!this.io["_reconnecting"]', 'true'],
      [/const RESERVED_EVENTS = [^;]*;/, ''],
      ['RESERVED_EVENTS.hasOwnProperty(ev)', 'false'],
    ],
  },
  'engine.io-parser/build/esm/encodePacket.browser.js': {
    put: [
      [/const withNative\w+ = [^;]*;|const isView = .*?\n\};/, ''],
      [/withNative\w+/, 'true'],
      [/\bisView\(/, 'ArrayBuffer.isView('],
    ],
  },
  'engine.io-parser/build/esm/decodePacket.browser.js': {
    put: [
      [/const withNativeArrayBuffer = [^;]*;/, ''],
      ['withNativeArrayBuffer', 'true'],
    ],
  },
  'engine.io-client/build/esm/socket.js': {
    without: ['send'],
    put: [
      ['createCookieJar, ', ''],
      [/ &&\s+typeof removeEventListener === "function"/, ''],
      ['typeof location !== "undefined"', 'true'],
      ['uri && "object" === typeof uri', 'false'],
      ['parse(opts.host).host', 'opts.host'],
      [/agent: false,|rejectUnauthorized: true,|perMessageDeflate: \{[^}]*\},/, ''],
      [/if \(this\.opts\.withCredentials\) \{[^}]*\}/, ''],
      [/this\._upgrades\.indexOf\("webtransport"\) !== -1 &&\s+name !== "webtransport"/, 'false'],
      ['this.opts.autoUnref', 'false'],
      ...TIMERS,
      ['Socket.protocol = protocol;', ''],
      [/this\.emitReserved\("(heartbeat|packetCreate|message|pong|packet)"[^;]*;/, ''],
    ],
  },
  'engine.io-client/build/esm/transports/websocket.js': {
    put: [
      [', this.setTimeoutFn', ''],
      [/const (opts|isReactNative|WebSocketCtor) = [^;]*;/, ''],
      [/if \(this\.opts\.(extraHeaders|autoUnref)\) \{[^}]*\}/, ''],
      ['this.createSocket(uri, protocols, opts)', 'this.createSocket(uri, protocols)'],
      [/return !isReactNative[^;]*;/, 'return new WebSocket(uri, protocols);'],
    ],
  },
  // Its shortcuts and iterators.
  'idb/build/index.js': { put: [[/const readMethods = .*(?=export \{)/, '']] },
}

/** Modules in place of others, by the end of their path. */
export const SMALLER: Readonly<Record<string, string>> = {
  '/backo2.js': 'export class Backoff {}',
  '/globals.node.js': `export const nextTick = (call) => Promise.resolve().then(call)
    export const globalThisShim = globalThis
    export const defaultBinaryType = 'arraybuffer'`,
  '/util.js': `export const byteLength = (data) =>
      typeof data === 'string' ? new Blob([data]).size : Math.ceil((data.byteLength || data.size) * 1.33)
    export const randomString = () => Date.now().toString(36).slice(3) + Math.random().toString(36).slice(2, 5)
    export const pick = () => {}
    export const installTimerFunctions = () => {}`,
  '/commons.js': `export const PACKET_TYPES = { open: 0, close: 1, ping: 2, pong: 3, message: 4, upgrade: 5, noop: 6 }
    export const PACKET_TYPES_REVERSE = Object.keys(PACKET_TYPES)
    export const ERROR_PACKET = { type: 'error', data: 'parser error' }`,
  '/parseuri.js': `export function parse(text) {
    const { hostname, protocol, port, search } = new URL(text, globalThis.location?.href)
    return { host: hostname.replace(/^\\[|\\]$/g, ''), protocol: protocol.slice(0, -1), port, query: search.slice(1) }
  }`,
  '/parseqs.js': `export const encode = (query) => new URLSearchParams(query).toString()
    export const decode = (text) => Object.fromEntries(text.split('&').map((pair) => {
      const [name, ...value] = pair.split('=')
      return [decodeURIComponent(name), decodeURIComponent(value.join('='))]
    }))`,
  '/base64-arraybuffer.js': `export function decode(text) {
    const raw = atob(text)
    const bytes = new Uint8Array(raw.length)
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i)
    return bytes.buffer
  }`,
}
