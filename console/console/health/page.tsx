/** Whether this node really works, which nodes there are, and what the durability in force survives. */

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Copyable } from '../frame/copy.tsx'
import type { Session } from '../hub/session.ts'
import { moment } from '../hub/words.ts'

interface Readiness {
  readonly ready: boolean
  readonly reason?: string
  readonly lastOkAt?: number
  readonly damage?: readonly string[]
}

const LOOK_MS = 3_000

/** The table of docs/operations.md, in sentences. */
const SURVIVES: Readonly<Record<string, string>> = {
  fsync: 'on the disk of the store: a crash of the hub and a power cut lose nothing that was acknowledged',
  everysec: 'on the disk of the store within a second: a crash loses nothing, a power cut up to the last two seconds',
  memory: 'in the memory of the store: a crash of the hub loses nothing, one of the store all since its last snapshot',
}

export function HealthPage({ session }: { readonly session: Session }) {
  const readiness = useReadiness()
  const summary = session.summary.value
  if (summary === undefined) return <h1>Health</h1>
  const { durability } = summary.store
  const nodes = summary.whole?.nodes ?? []
  const survives = durability.startsWith('replicated') ? 'by replicas as well as by the store' : SURVIVES[durability]
  return (
    <>
      <h1>Health</h1>
      <ul class="findings">
        {readiness !== undefined && (
          <Finding isWell={readiness.ready} what="events">
            {readiness.ready
              ? `one went through append, notification and read at ${moment(readiness.lastOkAt ?? 0)}`
              : (readiness.reason ?? 'they do not go through')}
          </Finding>
        )}
        <Finding isWell={summary.store.up} what="store">
          {summary.store.up ? 'it works' : (summary.store.reason ?? 'it is away')}
        </Finding>
        {(readiness?.damage ?? []).map((sentence) => (
          <Finding key={sentence} isWell={false} what="damage">
            {sentence}
          </Finding>
        ))}
        {readiness !== undefined && readiness.damage === undefined && (
          <Finding isWell what="damage">
            none was met since this node began
          </Finding>
        )}
        <Finding isWell={durability !== 'memory'} what="durability">
          <code>{durability}</code>: what was acknowledged is {survives ?? 'kept as the reply says'}
        </Finding>
        {nodes.map(({ id, version, at }) => (
          <Finding key={id} isWell={version === summary.version} what="node">
            <span class="name">{id}</span>, release {version}
            {id === summary.node ? ', this console’s' : `, seen ${moment(at)}`}
            {version !== summary.version && `: this one is ${summary.version}`}
          </Finding>
        ))}
      </ul>
      <section class="panel" aria-labelledby="doctor">
        <h2 id="doctor">The configuration and what lies in the store</h2>
        <p class="soft">
          The doctor looks at both where the hub runs, says what is wrong and what to do, and changes nothing.
        </p>
        <Copyable what="the command of the doctor" text="reprise doctor --config reprise.yaml" />
      </section>
    </>
  )
}

interface FindingProps {
  readonly isWell: boolean
  readonly what: string
  readonly children: ComponentChildren
}

function Finding({ isWell, what, children }: FindingProps) {
  return (
    <li class={isWell ? 'well' : 'ill'}>
      <strong>{isWell ? 'ok' : 'look'}</strong>
      <span class="soft">{what}</span>
      <span>{children}</span>
    </li>
  )
}

/** `/readyz` answers with its state also where that is bad. */
function useReadiness(): Readiness | undefined {
  const [state, setState] = useState<Readiness | undefined>(undefined)
  useEffect(() => {
    let isOver = false
    let timer: ReturnType<typeof setTimeout>
    const look = async (): Promise<void> => {
      try {
        const readiness = (await (await fetch('readyz')).json()) as Readiness
        if (!isOver) setState(readiness)
      } catch {
        // The banner says that the hub is away.
      }
      if (!isOver) timer = setTimeout(look, LOOK_MS)
    }
    void look()
    return () => {
      isOver = true
      clearTimeout(timer)
    }
  }, [])
  return state
}
