/**
 * The SDK for React: a provider of a hub's handle, and hooks. Everything begins in effects, so nothing is connected on a
 * server, and nothing twice in StrictMode.
 */

import {
  type Context,
  createContext,
  createElement,
  type ReactElement,
  type ReactNode,
  useCallback,
  useContext,
  useInsertionEffect,
  useMemo,
  useSyncExternalStore,
} from 'react'
import type {
  Handler,
  Hub,
  HubTypes,
  JobData,
  PublishOptions,
  Queue,
  QueueName,
  Receipt,
  Received,
  TopicsOf,
} from '../index.ts'
import { type AnyHub, type HubStatus, streamsOf, type TopicOptions } from './streams.ts'
import { type TopicState, TopicStore, type TopicView } from './topicStore.ts'

export type { AnyHub, HubStatus, TopicOptions, TopicState, TopicView }

/**
 * Where a program says what is in its topics and queues, for all hooks:
 * `declare module 'reprise/react' { interface Register { types: { topics: { orders: Order } } } }`.
 */
// biome-ignore lint/suspicious/noEmptyInterface: programs add to it.
export interface Register {}

/** The types that the program has said; any name, with data of unknown shape, when it has said none. */
export type Registered = Register extends { readonly types: infer S extends HubTypes } ? S : HubTypes

export type TopicName = keyof TopicsOf<Registered> & string

/** Makes a state of events. `reduce` is called once for each, and has to leave the state that it is given as it is. */
export interface TopicReducer<T, S> {
  readonly reduce: (state: S, event: Received<T>) => S
  readonly initial: S
}

export type Publish<T> = (data: T, options?: PublishOptions) => Promise<Receipt>

const HubContext: Context<AnyHub | undefined> = createContext<AnyHub | undefined>(undefined)

/** Gives `hub`, what `connect` has returned, to the hooks below it. Whoever has connected it closes it. */
export function HubProvider({ hub, children }: { readonly hub: AnyHub; readonly children?: ReactNode }): ReactElement {
  if (typeof (hub as AnyHub | undefined)?.topic !== 'function') {
    throw new TypeError('HubProvider takes a hub: <HubProvider hub={hub}>, with what connect has returned')
  }
  return createElement(HubContext.Provider, { value: hub }, children)
}

/** The hub of the provider. */
export function useHub(): Hub<Registered> {
  const hub = useContext(HubContext)
  if (hub === undefined) throw new Error('there is no <HubProvider hub={hub}> around this component')
  return hub as unknown as Hub<Registered>
}

/**
 * Subscribes to a topic while the component is there: calls `handler` with each event, or makes a state of them with
 * `{ reduce, initial }`. The newest handler is called, and a new one is no reason to subscribe again; another name is, and
 * so are other options. Without a name it waits for one. Throws, for an error boundary, what `subscribe` throws; what ends a
 * subscription later is in `error`.
 */
export function useTopic<N extends TopicName>(
  name: N | undefined,
  handler: Handler<TopicsOf<Registered>[N]>,
  options?: TopicOptions,
): TopicView
export function useTopic<N extends TopicName, S>(
  name: N | undefined,
  reducer: TopicReducer<TopicsOf<Registered>[N], S>,
  options?: TopicOptions,
): TopicState<S>
export function useTopic(
  name: string | undefined,
  what: Handler<never> | TopicReducer<never, unknown>,
  options: TopicOptions = {},
): TopicView {
  const streams = streamsOf(useHub())
  const handler = typeof what === 'function' ? (what as (event: Received) => unknown) : undefined
  const reducer = handler === undefined ? (what as TopicReducer<unknown, unknown>) : undefined
  if (handler === undefined && typeof reducer?.reduce !== 'function') {
    throw new TypeError('useTopic takes a function, or { reduce, initial }')
  }
  const odd = ['ack', 'transaction'].find((option) => option in options)
  if (odd !== undefined)
    throw new TypeError(`useTopic has no option ${odd}: call hub.topic(name).subscribe in an effect`)
  const reduces = reducer !== undefined
  const key = JSON.stringify(options)
  // The key stands for the options, and the first `initial` is the one that counts.
  const store = useMemo(() => new TopicStore(streams, name, options, reducer), [streams, name, key, reduces])
  useInsertionEffect(() => {
    store.work = handler ?? ((event, state) => reducer?.reduce(state, event))
  })
  return useSyncExternalStore(store.subscribe, store.view, store.view)
}

/** A function that publishes to a topic; the same one while the name is the same. It need not be subscribed to. */
export function usePublish<N extends TopicName>(name: N): Publish<TopicsOf<Registered>[N]> {
  const hub = useHub()
  return useCallback((data, options) => hub.topic(name).publish(data, options), [hub, name])
}

/** The handle of a queue: to send jobs, ask, look, and consume in an effect. */
export function useQueue<N extends QueueName<Registered>>(name: N): Queue<JobData<Registered, N>> {
  return useHub().queue(name)
}

/** What all topics of the hub are doing that components subscribe to, the worst first: for one sign in a page's corner. */
export function useStatus(): HubStatus {
  const streams = streamsOf(useHub())
  return useSyncExternalStore(streams.listen, streams.status, streams.nothing)
}
