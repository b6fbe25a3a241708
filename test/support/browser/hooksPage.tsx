/** @jsxImportSource react */
/** The page on which tests try the hooks of `client/react`: it shows what a test asks for, and writes down what happens. */

import { Activity, Component, type ReactNode, StrictMode } from 'react'
import { createRoot, hydrateRoot } from 'react-dom/client'
import { renderToString } from 'react-dom/server.browser'
import { connect, type Topic } from '../../../client/index.ts'
import { HubProvider, usePublish, useQueue, useStatus, useTopic } from '../../../client/react/index.ts'

export interface Shown {
  readonly topic: 'orders' | 'notes'
  /** What the handler says of an event, newly made at each render. */
  readonly mark?: string
  readonly hidden?: boolean
  /** A second component on the same topic. */
  readonly twice?: boolean
  /** A component that gives a name which is none. */
  readonly wrong?: boolean
}

declare global {
  var hooks: {
    readonly hub: ReturnType<typeof connect>
    /** What was rendered at each time, what handlers got, and what was thrown. */
    readonly log: string[]
    readonly subscribed: string[]
    show(shown: Shown | undefined): void
    hydrate(): string
  }
}

const log: string[] = []
const subscribed: string[] = []
const hub = connect(undefined, { client: 'hooks' })

/** Writes down each subscription of a topic and its end. */
function watched(topic: Topic): void {
  const { subscribe } = topic
  topic.subscribe = ((...args: Parameters<typeof subscribe>) => {
    const subscription = subscribe.apply(topic, args)
    subscribed.push(topic.name)
    void subscription.ended.then(({ code }) => subscribed.push(`${topic.name} ${code}`))
    return subscription
  }) as typeof subscribe
}
for (const name of ['orders', 'notes']) watched(hub.topic(name))

class Boundary extends Component<{ readonly children: ReactNode }> {
  override state = { message: '' }
  static getDerivedStateFromError(error: Error) {
    return { message: error.message }
  }
  override render() {
    return this.state.message === '' ? this.props.children : <p id="thrown">{this.state.message}</p>
  }
}

function Listener({ topic, mark }: { readonly topic: Shown['topic']; readonly mark: string }) {
  useTopic(topic, ({ offset }) => void log.push(`${mark} ${topic} ${offset}`))
  log.push(`rendered ${mark}`)
  return null
}

function Counter({ topic }: { readonly topic: Shown['topic'] }) {
  const { state, status, error } = useTopic(topic, {
    reduce: (offsets, { offset }) => `${offsets} ${offset}`,
    initial: '',
  })
  return <p id="counter">{`${topic}:${state} ${status.state} ${error?.message ?? ''}`}</p>
}

function Sides() {
  const publish = usePublish('notes')
  const emails = useQueue('emails')
  return <p id="sides">{`${typeof publish} ${emails.name} ${useStatus().state}`}</p>
}

function Wrong() {
  useTopic('no name' as 'notes', () => {})
  return null
}

function Page({ shown }: { readonly shown: Shown | undefined }) {
  if (shown === undefined) return null
  const { topic, mark = 'a', hidden = false, twice = false, wrong = false } = shown
  return (
    <HubProvider hub={hub}>
      <Listener topic={topic} mark={mark} />
      <Activity mode={hidden ? 'hidden' : 'visible'}>
        <Counter topic={topic} />
      </Activity>
      {twice && <Listener topic={topic} mark={`${mark}${mark}`} />}
      <Boundary>{wrong ? <Wrong /> : null}</Boundary>
      <Sides />
    </HubProvider>
  )
}

/** At the root: only there effects of the first components are called twice, too. */
function inStrictMode(shown: Shown | undefined) {
  return (
    <StrictMode>
      <Page shown={shown} />
    </StrictMode>
  )
}

const container = document.body.appendChild(document.createElement('div'))
// What an error boundary has caught is told by it.
const root = createRoot(container, { onCaughtError: () => {} })

globalThis.hooks = {
  hub,
  log,
  subscribed,
  show: (shown) => root.render(inStrictMode(shown)),
  hydrate: () => {
    const page = inStrictMode({ topic: 'notes' })
    const made = document.body.appendChild(document.createElement('div'))
    made.id = 'made'
    made.innerHTML = renderToString(page)
    const html = made.innerHTML
    hydrateRoot(made, page)
    return html
  },
}
