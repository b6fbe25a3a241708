/** The picture of the latest events: a square each, filled once it is here, coloured by how it came. */

import { useEffect, useRef } from 'preact/hooks'
import type { Mark } from '../counting/ledger.ts'

const SQUARE_PX = 7
const STEP_PX = 9
const ROWS = 6

interface StripProps {
  /** The last offset there is. */
  readonly head: number
  readonly label: string
  markOf(offset: number): Mark | undefined
}

/** `head` and all before it that have room, in columns from left to right. */
export function Strip(props: StripProps) {
  const canvas = useRef<HTMLCanvasElement>(null)
  const latest = useRef(props)
  latest.current = props
  useEffect(() => {
    if (canvas.current !== null) draw(canvas.current, latest.current)
  })
  useEffect(() => {
    const element = canvas.current
    if (element === null) return
    const redraw = (): void => draw(element, latest.current)
    const sizes = new ResizeObserver(redraw)
    sizes.observe(element)
    const scheme = matchMedia('(prefers-color-scheme: dark)')
    scheme.addEventListener('change', redraw)
    return () => {
      sizes.disconnect()
      scheme.removeEventListener('change', redraw)
    }
  }, [])
  return <canvas class="strip" ref={canvas} role="img" aria-label={props.label} />
}

function draw(canvas: HTMLCanvasElement, { head, markOf }: StripProps): void {
  const pen = canvas.getContext('2d')
  const widthPx = canvas.clientWidth
  const heightPx = ROWS * STEP_PX
  if (pen === null || widthPx === 0) return
  const scale = devicePixelRatio
  if (canvas.width !== Math.round(widthPx * scale)) {
    canvas.width = Math.round(widthPx * scale)
    canvas.height = Math.round(heightPx * scale)
  }
  const style = getComputedStyle(canvas)
  const color = (name: string): string => style.getPropertyValue(name)
  const colors = { live: color('--live'), replayed: color('--replayed'), lost: color('--lost'), awaited: '' }
  const outline = color('--awaited')
  const empty = color('--empty')
  pen.setTransform(scale, 0, 0, scale, 0, 0)
  pen.clearRect(0, 0, widthPx, heightPx)
  const columns = Math.floor((widthPx + STEP_PX - SQUARE_PX) / STEP_PX)
  // Whole columns go, so that a square stays where it is until its column has left.
  const first = Math.max(0, Math.ceil(head / ROWS) - columns) * ROWS + 1
  for (let cell = 0; cell < columns * ROWS; cell++) {
    const mark = markOf(first + cell)
    const x = Math.floor(cell / ROWS) * STEP_PX
    const y = (cell % ROWS) * STEP_PX
    if (mark === 'awaited') {
      pen.strokeStyle = outline
      pen.strokeRect(x + 0.75, y + 0.75, SQUARE_PX - 1.5, SQUARE_PX - 1.5)
    } else {
      pen.fillStyle = mark === undefined ? empty : colors[mark]
      pen.fillRect(x, y, SQUARE_PX, SQUARE_PX)
    }
  }
}
