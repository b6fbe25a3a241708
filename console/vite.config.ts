/** Bundles the pages that the hub serves: relative addresses, nothing inlined, so that they run under a strict CSP. */

import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vite'

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url))

export default defineConfig({
  root: here('.'),
  // A hub may be mounted below a path of somebody's own server.
  base: './',
  publicDir: false,
  build: {
    outDir: here('../dist/console'),
    emptyOutDir: true,
    target: 'es2022',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: { input: { index: here('index.html'), demo: here('demo.html') } },
  },
})
