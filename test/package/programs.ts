/** Programs of users, which the tests of the package type-check and run. */

export const CLIENT_PROGRAM = `
  import { connect, RepriseError } from 'PACKAGE'
  interface Order { readonly id: number }
  const hub = connect<{ topics: { orders: Order } }>('http://127.0.0.1:3000', { client: 'me' })
  const orders = hub.topic('orders')
  export async function main(): Promise<string> {
    const receipt: { epoch: string; offset: number } = await orders.publish({ id: 1 })
    // @ts-expect-error an order has an id
    await orders.publish({ name: 'x' })
    const sub = orders.subscribe(async (event) => { const id: number = event.data.id; void id }, { from: 'start' })
    await sub.close()
    await hub.close()
    return new RepriseError('gap', receipt.epoch).code
  }
`

export const SERVER_PROGRAM = `
  import { createServer } from 'node:http'
  import { connect } from 'reprise/client'
  import { createHub, RepriseError, startServer, type Hub, type HubTopic, type Subscription } from 'reprise'
  import { createTestHub, type TestHub } from 'reprise/testing'
  interface Order { readonly id: number }
  interface Types { topics: { orders: Order }; queues: { emails: { to: string } } }
  export async function main(): Promise<unknown[]> {
    const hub: Hub<Types> = createHub<Types>({ topics: { orders: { retain: { age: '1d' } } } })
    hub.attach(createServer(hub.handler))
    const orders: HubTopic<Order> = hub.topic('orders')
    await orders.publish({ id: 1 })
    // @ts-expect-error an order has an id
    await orders.publish({ name: 'x' })
    // @ts-expect-error no such topic was described
    hub.topic('unknown')
    const sub: Subscription<Order> = orders.subscribe((event) => void event.data.id.toFixed(), { client: 'me' })
    hub.queue('emails').consume(async (job) => job.data.to.trim(), { concurrency: 2 })
    const reply: string = await hub.queue('emails').request<string>({ to: 'ann' })
    const test: TestHub<Types> = await createTestHub<Types>()
    const untyped: TestHub = await createTestHub()
    const client = connect<Types>(test.url)
    return [sub, reply, untyped, client, startServer, RepriseError]
  }
`

/** Types are said once for all hooks. */
export const REACT_PROGRAM = `
  import { connect } from 'PACKAGE'
  import { HubProvider, usePublish, useTopic } from 'PACKAGE/react'
  interface Order { readonly id: number }
  declare module 'PACKAGE/react' { interface Register { types: { topics: { orders: Order } } } }
  export const provider = HubProvider({ hub: connect<{ topics: { orders: Order } }>('http://127.0.0.1:3000') })
  export function useIds(): number[] {
    // @ts-expect-error an order has an id
    void usePublish('orders')({ name: 'x' })
    return useTopic('orders', { reduce: (ids, { data }) => [...ids, data.id], initial: [] as number[] }).state
  }
`

/** A loader as Jest's: modules run in a context with globals of its own, and only \`require\` finds them. */
export const LOADER = `
  const { readFileSync } = require('node:fs')
  const { createRequire, isBuiltin } = require('node:module')
  const { dirname } = require('node:path')
  const vm = require('node:vm')
  const context = vm.createContext({ ...Object.fromEntries(Object.getOwnPropertyNames(globalThis)
    .filter((name) => !vm.runInNewContext('Object.getOwnPropertyNames(globalThis)').includes(name))
    .map((name) => [name, globalThis[name]])), Uint8Array, ArrayBuffer, console })
  context.global = context
  const modules = new Map()
  function load(path) {
    if (isBuiltin(path) || /lmdb|\\.(node|mjs)$/.test(path)) return require(path)
    if (path.endsWith('.json')) return JSON.parse(readFileSync(path, 'utf8'))
    if (modules.has(path)) return modules.get(path).exports
    const module = { exports: {}, filename: path, id: path, children: [], paths: [] }
    modules.set(path, module)
    const own = createRequire(path)
    const wrapped = vm.runInContext('(function (exports, require, module, __filename, __dirname) {' +
      readFileSync(path, 'utf8').replace(/^#!.*/, '') + '\\n})', context, { filename: path })
    const find = (name) => load(own.resolve(name))
    find.resolve = own.resolve
    wrapped.call(module.exports, module.exports, find, module, path, dirname(path))
    return module.exports
  }
  load(__dirname + '/program.cjs')
`
