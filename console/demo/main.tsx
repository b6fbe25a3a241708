/** Puts the demo together: the scene that the address names, and when it is drawn. */

import { signal } from '@preact/signals'
import { render } from 'preact'
import { gap } from './gap/scene.tsx'
import { replay } from './replay/scene.tsx'
import { restart } from './restart/scene.tsx'
import type { Running, Scene } from './scene.ts'
import { Shell } from './shell.tsx'
import { slow } from './slow/scene.tsx'
import { beginVisit } from './visit.ts'
import { work } from './work/scene.tsx'

/** The page is drawn at most so often, whatever comes. */
const FRAME_MS = 50

const SCENES: readonly [Scene, ...Scene[]] = [replay, gap, slow, work, restart]

const frame = signal(0)
let isDue = false

function changed(): void {
  if (isDue) return
  isDue = true
  setTimeout(() => {
    isDue = false
    frame.value++
  }, FRAME_MS)
}

const visit = await beginVisit()
let scene = sceneOf(location.hash)
let running: Running = scene.begin(visit, changed)

addEventListener('hashchange', () => {
  const next = sceneOf(location.hash)
  if (next === scene) return
  running.close()
  scene = next
  running = scene.begin(visit, changed)
  frame.value++
})

function sceneOf(hash: string): Scene {
  const name = hash.replace(/^#\/?/, '')
  return SCENES.find((known) => known.name === name) ?? SCENES[0]
}

function App() {
  frame.value
  return (
    <Shell visit={visit} scenes={SCENES} scene={scene}>
      {running.draw()}
    </Shell>
  )
}

const page = document.getElementById('page')
if (page !== null) render(<App />, page)
