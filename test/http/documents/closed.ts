/** Documents, for a check that nothing comes which they do not name. */

/** The same, where an object may have nothing that its schema does not name. */
export function closed<T>(node: T): T {
  if (typeof node !== 'object' || node === null) return node
  const entries = Object.entries(node).map(([name, value]) => [name, closed(value)] as const)
  const isObject = 'type' in node && node.type === 'object' && 'properties' in node
  const copy = isObject ? { additionalProperties: false, ...Object.fromEntries(entries) } : Object.fromEntries(entries)
  return (Array.isArray(node) ? entries.map(([, value]) => value) : copy) as T
}
