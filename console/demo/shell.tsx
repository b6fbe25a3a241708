/** What stands around each scene: the way to the others and to the console, and what a hub that asks for a token wants. */

import type { ComponentChildren } from 'preact'
import { useEffect, useRef } from 'preact/hooks'
import { Mark } from '../mark.tsx'
import type { Scene } from './scene.ts'
import type { Visit } from './visit.ts'

interface ShellProps {
  readonly visit: Visit
  readonly scenes: readonly Scene[]
  readonly scene: Scene
  readonly children: ComponentChildren
}

export function Shell({ visit, scenes, scene, children }: ShellProps) {
  const content = useRef<HTMLElement>(null)
  const isFirst = useRef(true)
  useEffect(() => {
    document.title = `Reprise: ${scene.title}`
    // Whoever follows a link by keyboard goes on at what it led to.
    if (!isFirst.current) {
      content.current?.querySelector('h1')?.focus({ preventScroll: true })
      scrollTo(0, 0)
    }
    isFirst.current = false
  }, [scene])
  const next = scenes[scenes.indexOf(scene) + 1]
  return (
    <>
      <header class="bar">
        <p class="wordmark">
          <Mark />
          Reprise
        </p>
        <nav class="scenes" aria-label="scenes">
          <ol>
            {scenes.map(({ name, title }) => (
              <li key={name}>
                <a href={`#/${name}`} aria-current={name === scene.name ? 'page' : undefined}>
                  {title}
                </a>
              </li>
            ))}
          </ol>
        </nav>
        <a class="away" href="./">
          Console
        </a>
      </header>
      {visit.isStranger && (
        <p class="problem" role="alert">
          This hub asks for a token. Enter one in <a href="./">the console</a>, have it kept for this tab, and come
          back.
        </p>
      )}
      <main ref={content} key={scene.name} data-scene={scene.name}>
        {children}
      </main>
      {next !== undefined && (
        <nav class="next" aria-label="next scene">
          <a href={`#/${next.name}`}>Next: {next.title}</a>
        </nav>
      )}
    </>
  )
}
