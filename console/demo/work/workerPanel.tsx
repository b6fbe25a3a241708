/** One worker as a column: what it has in hand, how to crash it, and what it did. */

import { type CrewMember, LEASE_MS, WORK_MS } from './crew.ts'

export function WorkerPanel({ worker }: { worker: CrewMember }) {
  const { label, state, isCrashed, running, done, lines } = worker
  const title = `worker-${label}`
  return (
    <section class="panel worker" data-test={title} data-state={isCrashed ? 'cut' : state} aria-labelledby={title}>
      <header>
        <h2 id={title}>Worker {label}</h2>
        <span class="name">{done === 1 ? '1 job done' : `${done} jobs done`}</span>
        <span class={`state ${state === 'working' ? 'is-live' : ''}`} role="status">
          {state}
        </span>
      </header>
      {isCrashed ? (
        <button type="button" class="wide" onClick={() => worker.start()}>
          Start {label} again
        </button>
      ) : (
        <button type="button" class="wide" onClick={() => worker.crash()}>
          Crash {label}
        </button>
      )}
      <p class="hand" data-test="hand">
        {running === undefined ? (
          <span class="quiet">{isCrashed ? 'It has no job any more.' : 'Waits for a job.'}</span>
        ) : (
          <>
            <span class="offset">{running.data.job}</span> {running.data.item}
          </>
        )}
      </p>
      {isCrashed && running !== undefined ? (
        <p class="hint-line">Nobody else has it until its lease of {LEASE_MS / 1_000} s is over.</p>
      ) : (
        <progress
          class={running === undefined ? 'idle' : ''}
          max={WORK_MS}
          value={running === undefined ? 0 : Math.min(WORK_MS, performance.now() - running.since)}
          aria-label={`work of ${label}`}
        />
      )}
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: a list that scrolls has to be reached by keyboard */}
      <ol class="feed short" tabIndex={0} aria-label={`what worker ${label} did`} data-test="feed">
        {lines.length === 0 && <li class="empty">What it did will stand here, the newest first.</li>}
        {lines.map(({ key, job, text, look }) => (
          <li key={key} class={look === 'gap' ? 'failed' : look} data-job={job}>
            <span class="offset">{job}</span>
            <span class="text">{text}</span>
          </li>
        ))}
      </ol>
    </section>
  )
}
