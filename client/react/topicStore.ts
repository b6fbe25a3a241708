/** What a component has of a topic: its state, and what has become of its subscription. A store for `useSyncExternalStore`. */

import type { Gap, Received, Status } from '../index.ts'
import type { HubStreams, Member, Stream, TopicOptions } from './streams.ts'

/** What `useTopic` returns. */
export interface TopicView {
  /** What the subscription is doing. Only who reads it is rendered again when it changes. */
  readonly status: Status
  /** Why the subscription is over. `undefined` while it is not, and when the hub's handle was closed. */
  readonly error: Error | undefined
  /** The last gap that was told: events that are gone. */
  readonly gap: Gap | undefined
}

/** What `useTopic` returns to who gives `reduce`. */
export interface TopicState<S> extends TopicView {
  /** What `reduce` has made of the events so far. */
  readonly state: S
}

export class TopicStore implements Member {
  /** What is to be done with an event, as the component said last; given the state, it returns the next one. */
  work: (event: Received, state: unknown) => unknown = () => {}
  readonly #streams: HubStreams
  readonly #topic: string | undefined
  readonly #options: TopicOptions
  readonly #reduces: boolean
  #state: unknown
  #gap: Gap | undefined
  #stream: Stream | undefined
  #seesStatus = false
  #view: TopicState<unknown>
  #notify: () => void = () => {}

  constructor(
    streams: HubStreams,
    topic: string | undefined,
    options: TopicOptions,
    reducer: { readonly initial: unknown } | undefined,
  ) {
    this.#streams = streams
    this.#topic = topic
    this.#options = options
    this.#reduces = reducer !== undefined
    this.#state = reducer?.initial
    this.#view = this.#look()
  }

  /** The component is there: React calls this as an effect. */
  readonly subscribe = (notify: () => void): (() => void) => {
    if (this.#topic === undefined) return () => {}
    this.#notify = notify
    // A component that React had put away goes on with its state, so behind what is in it.
    const { stream, leave } = this.#streams.join(this.#topic, this.#options, this, this.#stream)
    this.#stream = stream
    if (this.#seesStatus) {
      stream.watch()
      // It may be live already, for others.
      this.#told()
    }
    return () => {
      this.#notify = () => {}
      leave()
    }
  }

  /** The same object while nothing changes that the component has looked at. Throws what `subscribe` has thrown. */
  readonly view = (): TopicState<unknown> => {
    if (this.#stream?.failure !== undefined) throw this.#stream.failure.error
    return this.#view
  }

  handle(event: Received): unknown {
    const result = this.work(event, this.#state)
    if (!this.#reduces) return result
    if (Object.is(result, this.#state)) return undefined
    this.#state = result
    this.#told()
    return undefined
  }

  gap(gap: Gap): void {
    this.#gap = gap
    this.#told()
  }

  changed(): void {
    if (this.#seesStatus || this.#error() !== undefined || this.#stream?.failure !== undefined) this.#told()
  }

  #told(): void {
    this.#view = this.#look()
    this.#notify()
  }

  #status(): Status {
    return this.#stream?.status ?? { state: 'connecting' }
  }

  #error(): Error | undefined {
    const status = this.#status()
    if (status.state !== 'ended' || !('error' in status.reason)) return undefined
    const { error } = status.reason
    return error instanceof Error ? error : new Error(String(error), { cause: error })
  }

  #look(): TopicState<unknown> {
    const status = () => this.#status()
    const watch = () => {
      this.#seesStatus = true
      this.#stream?.watch()
    }
    return {
      state: this.#state,
      error: this.#error(),
      gap: this.#gap,
      get status() {
        watch()
        return status()
      },
    }
  }
}
