/** The top of a scene: what is to be seen, in a line each, and the steps that show it. */

interface Step {
  readonly text: string
  readonly done: boolean
  /** Does it; without it, it is for the visitor to do elsewhere. */
  readonly run?: (() => void) | undefined
}

interface SceneHeadProps {
  readonly title: string
  readonly claim: string
  readonly steps: readonly Step[]
}

export function SceneHead({ title, claim, steps }: SceneHeadProps) {
  const next = steps.findIndex(({ done }) => !done)
  return (
    <header class="top">
      <h1 tabIndex={-1}>{title}</h1>
      <p class="claim">{claim}</p>
      <ol class="steps">
        {steps.map(({ text, done, run }, i) => (
          <li key={text} class={done ? 'done' : ''} aria-current={i === next ? 'step' : undefined}>
            {run === undefined ? (
              <span class="act">{text}</span>
            ) : (
              <button type="button" onClick={run}>
                {text}
              </button>
            )}
          </li>
        ))}
      </ol>
    </header>
  )
}

/** What the colours of squares and lines mean. */
export function Legend() {
  return (
    <ul class="legend" aria-label="legend">
      <li class="live">came live</li>
      <li class="replayed">missed, then replayed</li>
      <li class="awaited">published, not here yet</li>
      <li class="lost">lost</li>
    </ul>
  )
}
