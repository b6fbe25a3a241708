import { describe, expectTypeOf, it } from 'vitest'
import { connect, type Ending, type Position, type Receipt, type Received, type Status } from '../../client/index.ts'

interface Order {
  readonly id: number
}

// An interface, as people write them: it has no index signature.
interface Topics {
  orders: Order
  notes: string
  [eu: `eu.${string}`]: Order
}

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

describe('types', () => {
  it('follow the description of topics', () => {
    expectTypeOf(typed.topic).parameter(0).toEqualTypeOf<'orders' | 'notes' | `eu.${string}`>()
    expectTypeOf(untyped.topic).parameter(0).toEqualTypeOf<string>()
    expectTypeOf(rightAndWrong).returns.resolves.toBeVoid()
  })
})
