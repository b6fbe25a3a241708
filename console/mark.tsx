/** The sign of the house: a repeat. */

export function Mark() {
  return (
    <svg viewBox="0 0 20 20" aria-hidden="true">
      <rect x="14" y="1" width="4" height="18" />
      <rect x="10.5" y="1" width="1.5" height="18" />
      <circle cx="5.5" cy="7" r="2.2" />
      <circle cx="5.5" cy="13" r="2.2" />
    </svg>
  )
}
