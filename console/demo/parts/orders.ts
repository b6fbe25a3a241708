/** What the demo publishes: orders of a small café. Also how any event is put into one line. */

export interface Order {
  readonly order: number
  readonly item: string
  readonly table: number
}

const ITEMS = ['espresso', 'flat white', 'filter coffee', 'mint tea', 'lemon cake', 'croissant', 'cold brew', 'cocoa']

export function makeOrder(order: number): Order {
  return { order, item: ITEMS[(order * 5) % ITEMS.length] ?? 'water', table: ((order * 7) % 12) + 1 }
}

/** `order 7: flat white, table 2`; what somebody else published is shown as it is, cut to one line. */
export function lineOf(data: unknown): string {
  if (isOrder(data)) return `order ${data.order}: ${data.item}, table ${data.table}`
  if (data instanceof ArrayBuffer) return `${data.byteLength} bytes`
  const text = typeof data === 'string' ? data : JSON.stringify(data)
  return text.length > 80 ? `${text.slice(0, 79)}…` : text
}

function isOrder(data: unknown): data is Order {
  if (typeof data !== 'object' || data === null) return false
  const { order, item, table } = data as Partial<Record<keyof Order, unknown>>
  return typeof order === 'number' && typeof item === 'string' && typeof table === 'number'
}
