/** The fourth scene: jobs and three workers. One crashes, one job always fails, and none is lost or done twice. */

import { SceneHead } from '../parts/head.tsx'
import { Switch } from '../parts/switch.tsx'
import type { Scene } from '../scene.ts'
import { Crew } from './crew.ts'
import { type Counts, type DeadLetter, type Job, Jobs } from './jobs.ts'
import { WorkerPanel } from './workerPanel.tsx'

const BATCH = 12
/** While somebody works, how far they are is drawn so often. */
const TICK_MS = 100

export const work: Scene = {
  name: 'work',
  title: 'Work',
  begin(visit, changed) {
    const jobs = new Jobs(visit, changed)
    const crew = new Crew(visit, jobs, changed)
    const timer = setInterval(() => {
      if (crew.workers.some(({ running }) => running !== undefined)) changed()
    }, TICK_MS)
    return {
      draw: () => (
        <>
          <Head jobs={jobs} crew={crew} />
          <div class="lanes four">
            <QueuePanel jobs={jobs} crew={crew} />
            {crew.workers.map((worker) => (
              <WorkerPanel key={worker.label} worker={worker} />
            ))}
            <DeadPanel jobs={jobs} />
          </div>
          <footer>
            <p>
              A job has one holder at a time, under a lease. A worker that lives extends it. When one dies, the lease
              runs out, and the job goes to another. A job that fails is tried again after a while, and after so many
              failures it is a dead letter, with its error, until somebody sends it again. A job that was settled never
              comes back: done twice stays 0.
            </p>
          </footer>
        </>
      ),
      close() {
        clearInterval(timer)
        crew.close()
        jobs.close()
      },
    }
  },
}

interface PartProps {
  readonly jobs: Jobs
  readonly crew: Crew
}

function Head({ jobs, crew }: PartProps) {
  const { poison, redriven, mayRedrive, hasReturned } = jobs
  return (
    <SceneHead
      title="One worker dies. Its job does not."
      claim="Each job has one holder at a time, comes back when the holder is lost, and ends done or where you find it."
      steps={[
        { text: `Send ${BATCH} jobs`, done: jobs.sent > 0, run: () => jobs.send(BATCH) },
        { text: 'Crash a worker', done: hasReturned || crew.orphaned > 0, run: () => crew.crashOne() },
        { text: 'See its job elsewhere', done: hasReturned },
        { text: 'Send a poison job', done: poison > 0, run: () => jobs.send(1, true) },
        {
          text: 'Fix the bug and redrive',
          done: redriven > 0,
          ...(mayRedrive ? { run: () => void fixAndRedrive(jobs) } : {}),
        },
      ]}
    />
  )
}

async function fixAndRedrive(jobs: Jobs): Promise<void> {
  jobs.fix(true)
  await jobs.redrive()
}

function QueuePanel({ jobs, crew }: PartProps) {
  const { counts, hasRoom, problem } = jobs
  const { tone, text } = verdictOf(jobs.sent, counts, crew.twice)
  return (
    <section class="panel publisher" aria-labelledby="queue">
      <header>
        <h2 id="queue">The queue</h2>
        <span class="name">{jobs.queue}</span>
      </header>
      <div class="buttons">
        <button type="button" class="primary" disabled={!hasRoom} onClick={() => jobs.send(BATCH)}>
          Send {BATCH}
        </button>
        <button type="button" disabled={!hasRoom} onClick={() => jobs.send(1, true)}>
          Send poison
        </button>
      </div>
      <dl class="facts">
        <Fact name="sent" value={counts.sent} />
        <Fact name="ready" value={counts.ready} />
        <Fact name="delayed" value={counts.delayed} />
        <Fact name="held" value={counts.held} />
        <Fact name="done" value={counts.done} />
        <Fact name="dead" value={counts.dead} />
        <Fact name="twice" label="done twice" value={crew.twice} />
      </dl>
      <p class={`verdict ${tone}`} data-test="verdict">
        {text}
      </p>
      {problem !== '' && (
        <p class="problem" role="alert">
          {problem}
        </p>
      )}
    </section>
  )
}

function Fact({ name, label = name, value }: { name: string; label?: string; value: number }) {
  return (
    <div>
      <dt>{label}</dt>
      <dd data-test={name}>{value}</dd>
    </div>
  )
}

function verdictOf(sent: number, counts: Counts, twice: number): { tone: string; text: string } {
  const { ready, delayed, held, done, dead, removed } = counts
  if (twice > 0) return { tone: 'bad', text: `${jobsText(twice)} done twice` }
  // Before the first answer there is nothing to compare with.
  if (counts.sent === 0) return { tone: 'calm', text: 'No job yet' }
  // The last replies may be younger than the last look.
  const open = Math.max(ready + delayed + held, sent - done - dead - removed)
  if (open > 0) return { tone: 'calm', text: `${jobsText(open)} under way` }
  return { tone: 'good', text: `${jobsText(done)} done${dead === 0 ? '' : `, ${dead} dead`}, none lost, none twice` }
}

function jobsText(count: number): string {
  return count === 1 ? '1 job' : `${count} jobs`
}

function DeadPanel({ jobs }: { jobs: Jobs }) {
  const { letters, isFixed, mayRedrive, queue } = jobs
  return (
    <section class="panel dead" aria-labelledby="dead">
      <header>
        <h2 id="dead">Dead letters</h2>
        <span class="name">{queue}/dead</span>
      </header>
      {letters.length === 0 ? (
        <p class="quiet">None. A poison job fails until its attempts are used up, and then stands here.</p>
      ) : (
        <ul class="letters" data-test="letters">
          {letters.map((letter) => (
            <li key={letter.id}>{letterText(letter)}</li>
          ))}
        </ul>
      )}
      <div class="acts">
        <Switch label="The bug is fixed" isOn={isFixed} hint="poison is done now" turn={(on) => jobs.fix(on)} />
        {mayRedrive ? (
          <button type="button" disabled={letters.length === 0} onClick={() => void jobs.redrive()}>
            Redrive
          </button>
        ) : (
          <p class="hint-line">
            To bring them back takes <code>admin</code> on <code>{queue}</code>, which this page does not have.
          </p>
        )}
      </div>
    </section>
  )
}

function letterText({ data, attempts, dead }: DeadLetter): string {
  const { job = '?', item = '' } = (data ?? {}) as Partial<Job>
  const reason = dead?.reason === 'max_attempts' ? `${attempts} attempts` : (dead?.reason ?? 'dead')
  return `${job} ${item}: ${reason}${dead?.error === undefined ? '' : `, the last one: ${dead.error}`}`
}
