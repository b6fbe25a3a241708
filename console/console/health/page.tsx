/** Whether this node really works, which nodes there are, what the durability in force survives, and what the doctor says. */

import type { ComponentChildren } from 'preact'
import { useEffect, useState } from 'preact/hooks'
import { Copyable } from '../frame/copy.tsx'
import type { Session } from '../hub/session.ts'
import { useLook } from '../hub/useLook.ts'
import { moment } from '../hub/words.ts'

interface Readiness {
  readonly ready: boolean
  readonly reason?: string
  readonly lastOkAt?: number
  readonly damage?: readonly string[]
}

const LOOK_MS = 3_000
const DOCTOR_MS = 30_000

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
      {session.may('admin', '*') ? (
        <Doctor session={session} />
      ) : (
        <p class="soft">
          What the doctor says needs <code>admin</code> on <code>*</code>.
        </p>
      )}
      <section class="panel" aria-labelledby="doctor">
        <h2 id="doctor">Before a hub starts</h2>
        <p class="soft">
          The doctor looks at a configuration, where each option is from, and at what lies in its store, where the hub
          is to run. It says what is wrong and what to do, and changes nothing.
        </p>
        <Copyable what="the command of the doctor" text="reprise doctor --config reprise.yaml" />
      </section>
    </>
  )
}

interface Examined {
  readonly node: string
  readonly findings: readonly {
    readonly what: string
    readonly state: 'ok' | 'warn' | 'fail'
    readonly text: string
    readonly todo?: string
  }[]
}

/** What it says of this hub as it runs. */
function Doctor({ session }: { readonly session: Session }) {
  const look = useLook<Examined>(session, '/doctor', DOCTOR_MS)
  if (look.value === undefined) return <p class="soft">{look.problem === '' ? 'The doctor looks …' : look.problem}</p>
  const { node, findings } = look.value
  return (
    <section aria-labelledby="examined">
      <h2 id="examined">What the doctor says of {node}</h2>
      <ul class="findings">
        {findings.map(({ what, state, text, todo }) => (
          <Finding key={`${what} ${text}`} isWell={state === 'ok'} what={what}>
            {text}
            {todo !== undefined && ` → ${todo}`}
          </Finding>
        ))}
      </ul>
    </section>
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
