/** Two pages beside a hub: `/` in React, `/vanilla.html` without a framework. Vite hands what is for the hub on to it. */

import { env } from 'node:process'
import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))
const hub = env.REPRISE_URL ?? 'http://127.0.0.1:3000'

export default defineConfig({
  root: here('.'),
  server: { proxy: { '/socket.io': { target: hub, ws: true }, '/sdk': hub } },
  build: { rolldownOptions: { input: { index: here('index.html'), vanilla: here('vanilla.html') } } },
})
