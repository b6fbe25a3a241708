/** What a page keeps from people who cannot see it or use no mouse, as axe finds it. */

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type * as Axe from 'axe-core'
import type { Page } from 'playwright-core'

const source = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** `rules`: only these; all of axe's without. One line a violation, with the first places that have it. */
export async function violations(page: Page, rules?: readonly string[]): Promise<string[]> {
  // Not as a script of the page, which its policy would refuse.
  await page.evaluate(`if (!('axe' in window)) { ${source} }`)
  return await page.evaluate(async (rules) => {
    // Halfway from one colour to another is neither.
    for (const one of document.getAnimations()) if (one instanceof CSSTransition) one.finish()
    const { axe } = window as unknown as { readonly axe: typeof Axe }
    const found = await axe.run(document, rules === undefined ? {} : { runOnly: [...rules] })
    return found.violations.map(({ id, help, nodes }) => {
      const places = nodes.slice(0, 3).map(({ html }) => html.slice(0, 200))
      return `${id}: ${help}: ${places.join(' | ')}`
    })
  }, rules)
}
