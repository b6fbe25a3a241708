/** A switch: what it does, whether it is on, and how to undo it. */

interface SwitchProps {
  readonly label: string
  readonly isOn: boolean
  /** While it is on. */
  readonly hint?: string
  turn(isOn: boolean): void
}

export function Switch({ label, isOn, hint = '', turn }: SwitchProps) {
  return (
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked={isOn}
      data-test="switch"
      onClick={() => turn(!isOn)}
    >
      <span class="knob" aria-hidden="true" />
      <span>{label}</span>
      <span class="hint" aria-hidden="true">
        {isOn ? hint : ''}
      </span>
    </button>
  )
}
