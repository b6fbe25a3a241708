/** @jsxImportSource react */
/** A chat in React: the last messages, what comes, what the connection is doing, and a button that publishes. */

import { StrictMode, useState } from 'react'
import { createRoot } from 'react-dom/client'
import { connect, type Received } from 'reprise/client'
import { HubProvider, usePublish, useStatus, useTopic } from 'reprise/react'

interface Message {
  readonly text: string
}

declare module 'reprise/react' {
  interface Register {
    types: { topics: { chat: Message } }
  }
}

// The hub of the page's own address: see vite.config.ts.
const hub = connect()

const lastOnes = {
  initial: [] as Received<Message>[],
  reduce: (messages: Received<Message>[], message: Received<Message>) => [...messages, message].slice(-50),
}

function Messages() {
  const { state: messages, error } = useTopic('chat', lastOnes, { from: { last: 50 } })
  if (error) return <p role="alert">{error.message}</p>
  return (
    <ol>
      {messages.map(({ offset, data }) => (
        <li key={offset}>{data.text}</li>
      ))}
    </ol>
  )
}

function Write() {
  const publish = usePublish('chat')
  const [text, setText] = useState('')
  const [failure, setFailure] = useState('')
  const send = (event: { preventDefault(): void }) => {
    event.preventDefault()
    setText('')
    // Resolves when the hub keeps it, also after an absence.
    publish({ text }).catch((error: Error) => setFailure(error.message))
  }
  return (
    <form onSubmit={send}>
      <input value={text} onChange={({ target }) => setText(target.value)} aria-label="Message" />
      <button type="submit">Send</button>
      <output>{failure}</output>
    </form>
  )
}

function Sign() {
  return <p id="status">{useStatus().state}</p>
}

createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <HubProvider hub={hub}>
      <Sign />
      <Messages />
      <Write />
    </HubProvider>
  </StrictMode>,
)
