import { describe, expectTypeOf, it } from 'vitest'
import {
  connect,
  type Ending,
  type HeldJob,
  type Position,
  type Receipt,
  type Received,
  type SendReceipt,
  type Status,
  type WorkerEnding,
  type WorkerStatus,
  type WorkFailure,
} from '../../client/index.ts'
import { type HubStatus, usePublish, useQueue, useStatus, useTopic } from '../../client/react/index.ts'

interface Order {
  readonly id: number
}

// An interface, as people write them: it has no index signature.
interface Topics {
  orders: Order
  notes: string
  [eu: `eu.${string}`]: Order
}

interface Queues {
  emails: Email
  [sums: `sums.${string}`]: number
}

interface Email {
  readonly to: string
}

declare module '../../client/react/index.ts' {
  interface Register {
    types: { topics: Topics; queues: Queues }
  }
}

const queues = connect<{ queues: Queues }>('http://127.0.0.1:9')
const typed = connect<{ topics: Topics }>('http://127.0.0.1:9')
const untyped = connect('http://127.0.0.1:9')

/** Checked by tsc, never called. */
async function rightAndWrong(): Promise<void> {
  const orders = typed.topic('orders')
  expectTypeOf(await orders.publish({ id: 1 })).toEqualTypeOf<Receipt>()
  // @ts-expect-error an order has a number for its id
  await orders.publish({ id: 'one' })
  // @ts-expect-error an order has an id
  await orders.publish({})
  // @ts-expect-error notes are strings
  await typed.topic('notes').publish({ id: 1 })
  // @ts-expect-error no such topic was described
  typed.topic('unknown')
  await typed.topic('eu.west').publish({ id: 1 })
  // @ts-expect-error the pattern describes orders
  await typed.topic('eu.west').publish('text')

  const sub = orders.subscribe((event) => {
    expectTypeOf(event).toEqualTypeOf<Received<Order>>()
    expectTypeOf(event.data.id).toBeNumber()
  })
  // @ts-expect-error 'none' is no place to start from
  orders.subscribe(() => {}, { from: 'none' })
  // @ts-expect-error there are only two ways to acknowledge
  orders.subscribe(() => {}, { ack: 'never' })
  expectTypeOf(sub.position).toEqualTypeOf<Position | undefined>()
  expectTypeOf(await sub.ended).toEqualTypeOf<Ending>()
  // @ts-expect-error only a catch-up has a total
  sub.status.total
  describeStatus(sub.status)
  expectTypeOf((await orders.read()).events[0]?.data).toEqualTypeOf<Order | undefined>()

  await untyped.topic('anything').publish(1)
  untyped.topic('anything').subscribe((event) => {
    // @ts-expect-error nobody has said what this data is
    event.data.id
  })
}

/** Every state is told apart by its name, and there are no others. */
function describeStatus(status: Status): string {
  switch (status.state) {
    case 'connecting':
    case 'live':
      return status.state
    case 'catching-up':
      return `${status.done} of ${status.total}`
    case 'behind':
      return status.slow
    case 'offline':
      return status.reason.code
    case 'ended':
      return status.reason.code === 'closed' ? 'closed' : String(status.reason.error)
  }
}

/** Checked by tsc, never called. */
async function rightAndWrongWork(): Promise<void> {
  const emails = queues.queue('emails')
  expectTypeOf(await emails.send({ to: 'a' }, { key: 'k', priority: 9 })).toEqualTypeOf<SendReceipt>()
  // @ts-expect-error an email has a receiver
  await emails.send({})
  // @ts-expect-error sums are numbers
  await queues.queue('sums.a').send('1')
  // @ts-expect-error no such queue was described
  queues.queue('unknown')
  // @ts-expect-error topics have no such option
  await queues.topic('any').publish(1, { delayMs: 5 })

  const worker = emails.consume(
    async (job) => {
      expectTypeOf(job).toEqualTypeOf<HeldJob<Email>>()
      expectTypeOf(job.data.to).toBeString()
      expectTypeOf(job.signal).toEqualTypeOf<AbortSignal>()
      expectTypeOf(await job.extend(5)).toBeBoolean()
      // @ts-expect-error a job is read, not written
      job.data = { to: 'b' }
    },
    { concurrency: 8, leaseMs: 5_000 },
  )
  // @ts-expect-error the credit is the SDK's affair
  emails.consume(() => {}, { credit: 8 })
  // @ts-expect-error there is no consuming without a handler
  emails.consume({ concurrency: 8 })
  expectTypeOf(worker.status).toEqualTypeOf<WorkerStatus>()
  expectTypeOf(await worker.ended).toEqualTypeOf<WorkerEnding>()
  worker.onError((failure) => expectTypeOf(failure).toEqualTypeOf<WorkFailure<Email>>())

  expectTypeOf(await emails.request({ to: 'a' })).toBeUnknown()
  expectTypeOf(await emails.request<number>({ to: 'a' }, { timeoutMs: 5 })).toBeNumber()
  // @ts-expect-error an email has a receiver, in requests, too
  await emails.request<number>(7)
  expectTypeOf(await emails.remove('id')).toBeBoolean()

  queues.queue('emails/dead').consume((letter) => expectTypeOf(letter.data).toEqualTypeOf<Email>())
  queues.queue('sums.b/dead').consume((letter) => expectTypeOf(letter.data).toBeNumber())
  untyped.queue('anything/dead').consume((letter) => expectTypeOf(letter.data).toBeUnknown())
  await untyped.queue('anything').send(1)
}

/** Checked by tsc, never called. */
async function Component(): Promise<void> {
  const { status, error } = useTopic('orders', (event) => void expectTypeOf(event).toEqualTypeOf<Received<Order>>())
  expectTypeOf(status).toEqualTypeOf<Status>()
  expectTypeOf(error).toEqualTypeOf<Error | undefined>()
  const first = { reduce: (ids: number[], { data }: Received<Order>) => [...ids, data.id], initial: [] }
  expectTypeOf(useTopic('eu.west', first, { from: { last: 5 } }).state).toEqualTypeOf<number[]>()
  useTopic('notes', { reduce: (text, { data }) => text + data, initial: '' }).state.trim()
  useTopic(status.state === 'live' ? 'notes' : undefined, () => {})
  // @ts-expect-error no such topic was described
  useTopic('unknown', () => {})
  // @ts-expect-error a component does not acknowledge
  useTopic('notes', () => {}, { ack: 'manual' })
  expectTypeOf(await usePublish('orders')({ id: 1 })).toEqualTypeOf<Receipt>()
  // @ts-expect-error notes are strings
  await usePublish('notes')({ id: 1 })
  expectTypeOf(await useQueue('emails').send({ to: 'a' })).toEqualTypeOf<SendReceipt>()
  // @ts-expect-error an email has a receiver
  await useQueue('emails').send({})
  expectTypeOf(useStatus()).toEqualTypeOf<HubStatus>()
}

/** Every state is told apart by its name, and there are no others. */
function describeWork(status: WorkerStatus): string {
  switch (status.state) {
    case 'connecting':
    case 'working':
    case 'closing':
      return status.state
    case 'offline':
      return status.reason.code
    case 'ended':
      return status.reason.code === 'closed' ? 'closed' : String(status.reason.error)
  }
}

describe('types', () => {
  it('follow the description of queues', () => {
    expectTypeOf(queues.queue)
      .parameter(0)
      .toEqualTypeOf<'emails' | `sums.${string}` | 'emails/dead' | `sums.${string}/dead`>()
    expectTypeOf(queues.topic).parameter(0).toEqualTypeOf<string>()
    expectTypeOf(describeWork).returns.toBeString()
    expectTypeOf(rightAndWrongWork).returns.resolves.toBeVoid()
    expectTypeOf(Component).returns.resolves.toBeVoid()
  })

  it('follow the description of topics', () => {
    expectTypeOf(typed.topic).parameter(0).toEqualTypeOf<'orders' | 'notes' | `eu.${string}`>()
    expectTypeOf(untyped.topic).parameter(0).toEqualTypeOf<string>()
    expectTypeOf(rightAndWrong).returns.resolves.toBeVoid()
  })
})
