/** What the caller may do, as far as the page can tell beforehand. The hub has the last word on each call. */

export interface Me {
  readonly subject: string
  readonly client?: string
  readonly grants: readonly { readonly actions: readonly string[]; readonly names: readonly string[] }[]
  readonly expiresAt?: number
}

export function may({ grants, subject }: Me, action: string, name: string): boolean {
  const of = name.replace(/\/dead$/, '')
  return grants.some(
    ({ actions, names }) =>
      (actions.includes('*') || actions.includes(action) || (action === 'read' && actions.includes('admin'))) &&
      names.some((pattern) => fits(pattern.replaceAll('{sub}', subject), of)),
  )
}

function fits(pattern: string, name: string): boolean {
  const literal = pattern.split('*').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'))
  return new RegExp(`^${literal.join('.*')}$`).test(name)
}
