/** A box to publish to a topic: the reply is shown, and the same can be taken along for a shell or a program. */

import { useState } from 'preact/hooks'
import { messageOf } from '../../../shared/errors.ts'
import { Copyable } from '../frame/copy.tsx'
import { connectCall, curl, remoteFlags } from '../hub/elsewhere.ts'
import { type Http, part } from '../hub/http.ts'
import type { Session } from '../hub/session.ts'

interface Draft {
  readonly data: unknown
  readonly key?: string
  readonly id?: string
  readonly headers?: Readonly<Record<string, string>>
}

export function PublishBox({ session, topic }: { readonly session: Session; readonly topic: string }) {
  const [data, setData] = useState('{ "hello": "from the console" }')
  const [key, setKey] = useState('')
  const [id, setId] = useState('')
  const [headers, setHeaders] = useState('')
  const [reply, setReply] = useState<{ readonly text: string; readonly isBad: boolean } | undefined>(undefined)
  const made = draftOf(data, key, id, headers)
  const isAllowed = session.may('publish', topic)
  const publish = async (event: SubmitEvent) => {
    event.preventDefault()
    if ('problem' in made) return setReply({ text: made.problem, isBad: true })
    try {
      const told = await session.http.ask<object>('POST', `/topics/${part(topic)}/events`, made.draft)
      setReply({ text: JSON.stringify(told, null, 1), isBad: false })
    } catch (error) {
      setReply({ text: messageOf(error), isBad: true })
    }
  }
  return (
    <form class="panel box" onSubmit={publish}>
      <label>
        Data, as JSON
        <textarea
          rows={5}
          value={data}
          spellcheck={false}
          onInput={({ currentTarget }) => setData(currentTarget.value)}
        />
      </label>
      <div class="filters">
        <label>
          key
          <input value={key} onInput={({ currentTarget }) => setKey(currentTarget.value)} />
        </label>
        <label>
          id
          <input value={id} onInput={({ currentTarget }) => setId(currentTarget.value)} />
        </label>
        <label>
          headers (name: value, …)
          <input value={headers} onInput={({ currentTarget }) => setHeaders(currentTarget.value)} />
        </label>
      </div>
      <p class="buttons">
        <button type="submit" class="primary" disabled={!isAllowed}>
          Publish
        </button>
        {!isAllowed && <span class="soft">Your token does not allow to publish here.</span>}
      </p>
      {reply !== undefined && (
        <pre class={reply.isBad ? 'problem' : ''} role="status" aria-label="The reply">
          {reply.text}
        </pre>
      )}
      {!('problem' in made) && (
        <details>
          <summary>The same as curl, in a program, on the command line</summary>
          <Copies http={session.http} topic={topic} draft={made.draft} />
        </details>
      )}
    </form>
  )
}

interface CopiesProps {
  readonly http: Http
  readonly topic: string
  readonly draft: Draft
}

function Copies({ http, topic, draft }: CopiesProps) {
  const { data, ...options } = draft
  const more = Object.keys(options).length === 0 ? '' : `, ${JSON.stringify(options)}`
  const flags = [
    draft.key === undefined ? '' : ` --key ${quoted(draft.key)}`,
    draft.id === undefined ? '' : ` --id ${quoted(draft.id)}`,
    ...Object.entries(draft.headers ?? {}).map(([name, value]) => ` --header ${quoted(`${name}=${value}`)}`),
  ].join('')
  return (
    <>
      <Copyable
        what="as curl"
        text={`${curl(http, `/topics/${part(topic)}/events`)} -H 'content-type: application/json' \\
  -d ${quoted(JSON.stringify(draft))}`}
      />
      <Copyable
        what="as a program"
        text={`import { connect } from 'reprise/client'

const hub = ${connectCall(http)}
await hub.topic('${topic}').publish(${JSON.stringify(data)}${more})`}
      />
      <Copyable what="for the command line" text={`reprise pub ${topic}${flags}${remoteFlags()} ${quotedData(data)}`} />
    </>
  )
}

/** For a shell. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`
}

/** A negative number would be taken for an option. */
function quotedData(data: unknown): string {
  const text = quoted(JSON.stringify(data))
  return text.startsWith("'-") ? `-- ${text}` : text
}

function draftOf(
  data: string,
  key: string,
  id: string,
  headers: string,
): { readonly draft: Draft } | { readonly problem: string } {
  let parsed: unknown
  try {
    parsed = JSON.parse(data)
  } catch (error) {
    return { problem: `The data is no JSON: ${messageOf(error)}. A text stands in quotes.` }
  }
  const pairs = headers
    .split(',')
    .map((pair) => pair.trim())
    .filter((pair) => pair !== '')
    .map((pair) => pair.split(/:(.*)/s).map((side) => side.trim()))
  const draft = {
    data: parsed,
    ...(key === '' ? {} : { key }),
    ...(id === '' ? {} : { id }),
    ...(pairs.length === 0
      ? {}
      : { headers: Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value])) }),
  }
  return { draft }
}
