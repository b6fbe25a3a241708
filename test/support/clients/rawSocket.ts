/** Socket.IO by hand below a client's namespace: for text that no library would send. */

import type { Reply } from '../../../shared/protocol.ts'
import { until } from '../until.ts'
import { joinNamespace } from './wire.ts'

export interface RawSocket {
  /** `args` is the JSON text of a list: the call's name and what goes with it. Resolves with the reply. */
  call(args: string): Promise<Reply<unknown>>
  /** The text of the reply as it came. */
  callText(args: string): Promise<string>
  /** Enters a namespace that is refused; gives the error's data. */
  refusal(namespace: string, auth: string): Promise<unknown>
}

export async function connectRaw(url: string, namespace: string, auth: object): Promise<RawSocket> {
  const { socket } = await joinNamespace(url, namespace, { ...auth })
  const { engine } = socket.io
  const texts: string[] = []
  engine.on('data', (data) => texts.push(String(data)))
  // Beyond the client's own.
  let calls = 1_000

  const first = async (prefix: string): Promise<string> => {
    const found = await until(() => texts.find((text) => text.startsWith(prefix)), { what: `a packet ${prefix}` })
    return found.slice(prefix.length)
  }
  const callText = async (args: string): Promise<string> => {
    calls += 1
    engine.send(`2${namespace},${calls}${args}`)
    return await first(`3${namespace},${calls}[`)
  }
  const refusal = async (name: string, text: string): Promise<unknown> => {
    engine.send(`0${name},${text}`)
    return JSON.parse(await first(`4${name},`)).data
  }
  return {
    callText,
    refusal,
    async call(args) {
      const [reply] = JSON.parse(`[${await callText(args)}`) as [Reply<unknown>]
      return reply
    },
  }
}
