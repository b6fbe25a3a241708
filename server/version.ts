/** The version of this package. */

import { readFileSync } from 'node:fs'

export function version(): string {
  // The sources lie one folder below package.json, what is built of them two.
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), 'utf8')) as Record<
        string,
        string
      >
      if (name === 'reprise' && version !== undefined) return version
    } catch {
      // The next place is tried.
    }
  }
  return 'unknown'
}
