/** The rules of DESIGN: which part may import which, and where each driver may be named. */

import type { Import, Source } from './sources.ts'
import { packageOf } from './sources.ts'

/** What ships. Tests, benches, examples and the build may import anything but the command line and the console. */
export const PRODUCT = ['shared', 'server', 'client', 'cli', 'console']

/** Longest first: the first prefix that fits names the part. */
const PARTS = [
  'build/',
  'console/vite.config.ts',
  'server/store/contract/',
  'server/store/lmdb/',
  'server/store/redis/',
  'server/store/',
  'server/core/',
  'server/socket/',
  'server/http/',
  'server/auth/',
  'server/options/',
  'server/telemetry/',
  'server/wire/',
  'server/api.ts',
  'server/doctor/doctor.ts',
  'server/doctor/examination.ts',
  'server/doctor/condition.ts',
  'server/localClients.ts',
  'server/handles.ts',
  'server/rules.ts',
  'server/hub.ts',
  'server/embedded.ts',
  'server/index.ts',
  'server/serve.ts',
  'server/testing.ts',
  'server/',
  'shared/',
  'client/',
  'cli/',
  'console/',
] as const

type Part = (typeof PARTS)[number]

const EDGE: readonly Part[] = ['server/core/', 'server/wire/', 'shared/']
const ENGINE: readonly Part[] = ['server/store/contract/', 'server/store/', 'shared/']

const ABOVE_HUB: readonly Part[] = [
  'server/doctor/doctor.ts',
  'server/embedded.ts',
  'server/index.ts',
  'server/serve.ts',
  'server/testing.ts',
]

/** What a part may import beside itself. */
const MAY_IMPORT: Readonly<Record<Part, readonly Part[]>> = {
  'shared/': [],
  'client/': ['shared/'],
  'server/core/': ['shared/', 'server/store/contract/'],
  'server/store/contract/': ['shared/'],
  'server/store/lmdb/': ENGINE,
  'server/store/redis/': ENGINE,
  'server/store/': ['server/store/contract/', 'server/store/lmdb/', 'server/store/redis/', 'shared/'],
  'server/wire/': ['shared/'],
  'server/socket/': EDGE,
  'server/http/': EDGE,
  // Revocations and tickets are kept in the store.
  'server/auth/': ['server/core/', 'server/store/contract/', 'shared/'],
  // Gauges are looked up in the store.
  'server/telemetry/': ['server/core/', 'server/store/contract/', 'shared/'],
  // Options and their units: what they mean is core's settings.
  'server/options/': ['server/core/', 'shared/'],
  'server/': ['shared/'],
  'server/doctor/doctor.ts': [
    'server/doctor/examination.ts',
    'server/options/',
    'server/store/contract/',
    'server/store/',
    'shared/',
  ],
  'server/doctor/examination.ts': ['server/', 'server/options/', 'server/store/contract/', 'server/store/', 'shared/'],
  'server/doctor/condition.ts': ['server/doctor/examination.ts', 'server/options/', 'server/store/contract/'],
  // The hub's own program subscribes and consumes through the SDK.
  'server/api.ts': ['client/', 'server/socket/', 'server/http/', 'shared/'],
  'server/localClients.ts': ['client/', 'shared/'],
  'server/handles.ts': [
    'server/api.ts',
    'server/localClients.ts',
    'server/wire/',
    'server/',
    'server/core/',
    'client/',
    'shared/',
  ],
  'server/rules.ts': [
    'server/',
    'server/auth/',
    'server/core/',
    'server/doctor/condition.ts',
    'server/options/',
    'server/store/contract/',
    'server/store/',
    'server/telemetry/',
    'shared/',
  ],
  'server/hub.ts': [
    ...PARTS.filter((part) => part.startsWith('server/') && !ABOVE_HUB.includes(part)),
    'client/',
    'shared/',
  ],
  'server/serve.ts': [
    'server/api.ts',
    'server/hub.ts',
    'server/localClients.ts',
    'client/',
    'server/',
    'server/options/',
    'server/core/',
    'shared/',
    'server/telemetry/',
  ],
  'server/embedded.ts': [
    'server/api.ts',
    'server/hub.ts',
    'server/serve.ts',
    'client/',
    'server/',
    'server/options/',
    'shared/',
    'server/telemetry/',
  ],
  // Public names only: what a program that embeds a hub may need of the parts.
  'server/index.ts': [
    'server/api.ts',
    'server/embedded.ts',
    'server/serve.ts',
    'client/',
    'server/',
    'server/options/',
    'server/core/',
    'server/socket/',
    'server/http/',
    'shared/',
  ],
  'server/testing.ts': [
    'server/index.ts',
    'server/api.ts',
    'server/embedded.ts',
    'client/',
    'server/options/',
    'shared/',
  ],
  'cli/': ['client/', 'shared/'],
  'console/': ['client/', 'shared/'],
  'build/': ['shared/'],
  'console/vite.config.ts': [],
}

/** Each driver, and the one part that may name it. */
const DRIVERS: Readonly<Record<string, readonly Part[]>> = {
  lmdb: ['server/store/lmdb/'],
  ioredis: ['server/store/redis/'],
  'socket.io': ['server/socket/'],
  'socket.io-parser': ['server/socket/'],
  ws: ['server/socket/'],
  express: ['server/http/'],
  helmet: ['server/http/'],
  croner: ['server/core/'],
  // Both edges count by the same rules.
  'rate-limiter-flexible': ['server/core/'],
  jose: ['server/auth/'],
  ajv: ['server/core/'],
  'ajv-formats': ['server/core/'],
  pino: ['server/telemetry/'],
  'prom-client': ['server/telemetry/'],
  '@opentelemetry/api': ['server/telemetry/', 'client/'],
  zod: ['server/wire/', 'server/options/', 'server/http/'],
  yaml: ['server/options/'],
  // The demo has a lane without the SDK, to compare with.
  'socket.io-client': ['client/', 'console/'],
  idb: ['client/'],
  react: ['client/'],
  commander: ['cli/'],
  'cli-progress': ['cli/'],
  picocolors: ['cli/'],
  '@bomb.sh/tab': ['cli/'],
}

/** Small, importing nothing but shared/, so that the command line may name them without loading the server. */
export const LIGHT = ['server/version.ts']

/** The only modules that load the server, when their command runs: the others start without it. */
const SERVER_COMMANDS = ['serve', 'config', 'doctor', 'key', 'token'].map((name) => `cli/commands/${name}.ts`)

export function partOf(path: string): Part | undefined {
  return PARTS.find((part) => path.startsWith(part))
}

/** Sentences about every import that the rules forbid. */
export function brokenLayers(source: Source): string[] {
  return source.imports.flatMap((imported) => {
    const reason = imported.path === undefined ? packageReason(source, imported) : pathReason(source, imported)
    return reason === undefined ? [] : [`${source.path}:${imported.line} imports ${imported.specifier}: ${reason}`]
  })
}

function pathReason(source: Source, { path = '', dynamic, typeOnly }: Import): string | undefined {
  const from = partOf(source.path)
  const to = partOf(path)
  if (from === to) return undefined
  if ((to === 'cli/' || to === 'console/') && !source.path.startsWith('test/')) return 'nobody imports it'
  if (from === undefined) return undefined
  if (to === undefined) return path === 'package.json' ? undefined : 'it is no part of the product'
  if (from === 'cli/' && to.startsWith('server/')) {
    if (typeOnly || LIGHT.includes(path)) return undefined
    if (!SERVER_COMMANDS.includes(source.path)) return `only ${SERVER_COMMANDS.join(' and ')} load the server`
    return dynamic ? undefined : 'the server is loaded by import() when the command runs'
  }
  return MAY_IMPORT[from].includes(to) ? undefined : `${from} may import ${MAY_IMPORT[from].join(', ') || 'nothing'}`
}

function packageReason(source: Source, { specifier }: Import): string | undefined {
  const from = partOf(source.path)
  if (from === undefined || from === 'build/' || from === 'console/vite.config.ts') return undefined
  if (from === 'shared/') return 'shared imports nothing'
  if (specifier.startsWith('node:')) {
    if (from === 'client/' || from === 'console/') return 'it runs in browsers'
    const network = /^node:(https?|net|tls|dgram)$/.test(specifier)
    return from === 'server/core/' && network ? 'core knows no sockets and no HTTP' : undefined
  }
  const homes = DRIVERS[packageOf(specifier)]
  if (homes === undefined) return from === 'console/' ? undefined : 'say in test/architecture/layers.ts whose it is'
  return homes.includes(from) ? undefined : `it is named in ${homes.join(', ')} only`
}
