/**
 * What a program passes to `createHub` and what `reprise serve` runs with: the types, the schemas that check them, the
 * defaults. Where `serve` gets the values from (flags, environment, file) is in file.ts; how values are checked
 * in checks.ts.
 */

import { resolve } from 'node:path'
import { z } from 'zod'
import { RepriseError } from '../../shared/errors.ts'
import { DURATION_RULE, readBytes, readCount, readDurationMs, readSwitch } from '../../shared/units.ts'
import { checkPattern } from '../core/patterns.ts'
import type { QueuePatterns } from '../core/queues/settings.ts'
import type { JsonSchema } from '../core/schema/schema.ts'
import type { TopicOverrides, TopicPatterns } from '../core/topics/settings.ts'
import { type AuthOptions, authOptions, readAuth } from './auth.ts'
import {
  bound,
  byPattern,
  bytes,
  type Duration,
  duration,
  faultsIn,
  fields,
  host,
  jsonSchema,
  known,
  optional,
  parse,
  readPort,
  type Size,
  value,
} from './checks.ts'
import { type EncryptionOptions, encryptionOptions, readEncryption } from './encryption.ts'
import { LIMIT_DEFAULTS, type LimitOptions, limitFaults, limitOptions, type ResolvedLimits } from './limits.ts'
import { type MetricsOptions, metricsFaults, metricsOptions } from './metrics.ts'
import { type AllowOrigins, readOrigins } from './origins.ts'
import { readNetworks } from './proxies.ts'
import { type QueueOptions, queuePatterns } from './queues.ts'
import { withAbsoluteSecrets } from './secret.ts'
import { readTls, type TlsOptions, tlsOptions } from './tls.ts'

const LOG_LEVELS = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof LOG_LEVELS)[number]

export interface TopicOptions {
  /** What is kept: all three hold at once. `'unlimited'` where one does not matter. */
  readonly retain?: {
    readonly events?: number | 'unlimited'
    readonly bytes?: Size
    readonly age?: Duration
    /** The same as `age`. */
    readonly ageMs?: Duration
  }
  /** JSON Schema (2020-12) of the data of drafts. */
  readonly schema?: JsonSchema
}

export interface HubOptions {
  /** Who may do what. Without it everybody may do everything. */
  readonly auth?: AuthOptions | undefined
  /** Payloads are encrypted before they are stored. */
  readonly encryption?: EncryptionOptions | undefined
  /** Folder of the embedded store, or the URL of a Redis server. Default `./data`. */
  readonly store?: string
  /** Settings by name pattern; `*` stands for any run of characters. */
  readonly topics?: Readonly<Record<string, TopicOptions>>
  readonly queues?: Readonly<Record<string, QueueOptions>>
  readonly limits?: LimitOptions
  /** Default: the origin that the Host header names, and loopback origins. Clients without an Origin always may. */
  readonly allowOrigins?: AllowOrigins | undefined
  /** Addresses and networks (`10.0.0.0/8`) of proxies whose `X-Forwarded-For` names the client. Default: none. */
  readonly trustProxy?: readonly string[] | undefined
  /** Path of Socket.IO. Default `/socket.io`. */
  readonly path?: string
  /** Default `info`. */
  readonly logLevel?: LogLevel
  /** The page at `/` that shows the hub, the demo at `/demo`, and their namespaces. Default `true`. */
  readonly console?: boolean
  /** Who may read `/metrics`, and where. */
  readonly metrics?: MetricsOptions | undefined
  /** Free space on the store's disk below which publishes are refused. Default: the engine's. */
  readonly reserveBytes?: Size | undefined
}

export interface ServeOptions extends HubOptions {
  /** 0 takes a free one. Default 3000. */
  readonly port?: number
  /** Default 127.0.0.1. */
  readonly host?: string
  /** Accepts a host that other machines can reach although nothing asks who is calling. */
  readonly open?: boolean
  /** The file that the options were read from; told, not read again. */
  readonly config?: string | undefined
  /** How long a stop waits for what was accepted. Default 10 s. */
  readonly drainMs?: Duration
  /** How long an idle HTTP connection is kept; longer than a proxy in front keeps its own. Default 75 s. */
  readonly keepAliveMs?: Duration
  /** HTTPS and wss. Files that change are read again. */
  readonly tls?: TlsOptions | undefined
}

export interface ResolvedHubOptions {
  /** An absolute path, or a URL. */
  readonly store: string
  readonly topics: TopicPatterns
  readonly queues: QueuePatterns
  readonly auth: AuthOptions | undefined
  /** Named, not read; file names are absolute. */
  readonly encryption: EncryptionOptions | undefined
  readonly metrics: MetricsOptions | undefined
  readonly limits: ResolvedLimits
  readonly allowOrigins: AllowOrigins | undefined
  readonly trustProxy: readonly string[]
  readonly path: string
  readonly logLevel: LogLevel
  readonly console: boolean
  /** Of a server of its own. */
  readonly serving?: { readonly host: string; readonly tls: TlsOptions | undefined }
  readonly reserveBytes: number | undefined
}

export interface ResolvedServeOptions extends ResolvedHubOptions {
  readonly port: number
  readonly host: string
  readonly open: boolean
  readonly config: string | undefined
  readonly drainMs: number
  readonly keepAliveMs: number
  /** Named, not read; file names are absolute. */
  readonly tls: TlsOptions | undefined
}

const DEFAULTS = {
  store: './data',
  path: '/socket.io',
  logLevel: 'info',
  console: true,
  port: 3000,
  host: '127.0.0.1',
  open: false,
  drainMs: 10_000,
  keepAliveMs: 75_000,
} as const

const age = bound(DURATION_RULE, readDurationMs)

const topicOptions = known({
  retain: optional(
    known({
      events: optional(bound('a number of events, 1 or more', readCount)),
      bytes: optional(bound('a size such as 1GiB', readBytes)),
      age: optional(age),
      ageMs: optional(age),
    }).transform(({ age, ageMs, ...rest }, context) => {
      if (age !== undefined && ageMs !== undefined && age !== ageMs) {
        context.addIssue({ code: 'custom', message: 'age and ageMs say different things; give one of them' })
      }
      const either = ageMs ?? age
      return either === undefined ? rest : { ...rest, ageMs: either }
    }),
  ),
  schema: optional(jsonSchema),
}) satisfies z.ZodType<TopicOverrides>

/** Checks what the API was given for a name pattern. Throws `bad_request`. */
export function readTopicOverrides(pattern: string, settings: unknown): TopicOverrides {
  checkPattern(pattern)
  return parse(topicOptions, settings, 'settings')
}

export const hubFields = {
  store: value('a folder or the URL of a store, such as ./data or redis://127.0.0.1:6379', readStore),
  allowOrigins: value('a list of origins such as https://app.example.com, or *', readOrigins),
  trustProxy: value('a list of addresses and networks of proxies, such as 10.0.0.0/8', readNetworks),
  // What is below it belongs to Socket.IO alone, so the hub's own paths cannot be.
  path: value('a path such as /socket.io, and not in /v1 or /sdk', (input) =>
    typeof input === 'string' && /^\/[^\s?#]+$/.test(input) && !/^\/+(v1|sdk)(\/|$)/i.test(input)
      ? input.replace(/\/+$/, '') || undefined
      : undefined,
  ),
  logLevel: value(`one of ${LOG_LEVELS.join(', ')}`, (input) => LOG_LEVELS.find((level) => level === input)),
  console: value('true or false', readSwitch),
  reserveBytes: bytes,
} as const

export const serveFields = {
  port: value('a port: 0 (any free one) to 65535', readPort),
  host,
  open: value('true or false', readSwitch),
  drainMs: duration,
  keepAliveMs: duration,
} as const

/** Options that only a program or the file can give, as they have parts. */
export const groupedFields = {
  auth: authOptions,
  encryption: encryptionOptions,
  topics: byPattern(topicOptions),
  queues: queuePatterns,
  limits: limitOptions,
  metrics: metricsOptions,
} as const

/** Checks what `attach` was given. */
export function readAttachOptions(options: unknown): { readonly path?: string | undefined } {
  return parse(fields({ path: hubFields.path }), options, 'attach')
}

const hubSchema = fields({ ...hubFields, ...groupedFields })
const serveSchema = fields({ ...hubFields, ...groupedFields, ...serveFields, tls: tlsOptions, config: z.string() })

/** Checks a program's options and fills in defaults. What it returns can be passed in again. */
export function resolveHubOptions(options: HubOptions = {}, cwd = process.cwd()): ResolvedHubOptions {
  return withHubDefaults(agreed(parse(hubSchema, options, 'createHub'), cwd), cwd)
}

/** The same for a server of its own; refuses a host that others can reach, unless `open`. */
export function resolveServeOptions(options: ServeOptions = {}, cwd = process.cwd()): ResolvedServeOptions {
  const given = agreed(parse(serveSchema, options, 'serve'), cwd)
  const host = given.host ?? DEFAULTS.host
  const open = given.open ?? DEFAULTS.open
  return {
    ...withHubDefaults(given, cwd),
    port: given.port ?? DEFAULTS.port,
    host,
    open,
    config: given.config,
    drainMs: given.drainMs ?? DEFAULTS.drainMs,
    keepAliveMs: given.keepAliveMs ?? DEFAULTS.keepAliveMs,
    // It has its certificate and its key, as nothing contradicts.
    tls: given.tls as TlsOptions | undefined,
  }
}

type Together = Pick<
  z.infer<typeof serveSchema>,
  'host' | 'open' | 'auth' | 'encryption' | 'limits' | 'metrics' | 'tls'
>

/** With absolute names of files. Throws `bad_request` for what contradicts. */
function agreed<T extends Together>(options: T, cwd: string): T {
  const given = withAbsoluteSecrets(options, cwd)
  const [fault] = contradictions(given)
  if (fault !== undefined) throw new RepriseError('bad_request', fault)
  return given
}

/** What is wrong although each option by itself is right; each sentence begins with the option. */
export function contradictions({
  host = DEFAULTS.host,
  open = DEFAULTS.open,
  auth,
  encryption,
  limits,
  metrics,
  tls,
}: Together): readonly string[] {
  const found = [
    ...limitFaults(limits),
    ...faultsIn(() => tls && readTls(tls)),
    ...faultsIn(() => auth && readAuth(auth)),
    ...faultsIn(() => encryption && readEncryption(encryption)),
    ...metricsFaults(metrics),
  ]
  if (open || auth !== undefined || isLoopback(host)) return found
  return [
    `host ${host} can be reached from other machines and nothing asks who is calling: keep 127.0.0.1, configure auth, or let everyone in with --open`,
    ...found,
  ]
}

function withHubDefaults(given: z.infer<typeof hubSchema>, cwd: string): ResolvedHubOptions {
  const store = given.store ?? DEFAULTS.store
  return {
    auth: given.auth,
    encryption: given.encryption,
    metrics: given.metrics,
    store: isUrl(store) ? store : resolve(cwd, store),
    topics: given.topics ?? {},
    queues: given.queues ?? {},
    limits: { ...LIMIT_DEFAULTS, ...given.limits },
    allowOrigins: given.allowOrigins,
    trustProxy: given.trustProxy ?? [],
    path: given.path ?? DEFAULTS.path,
    logLevel: given.logLevel ?? DEFAULTS.logLevel,
    console: given.console ?? DEFAULTS.console,
    reserveBytes: given.reserveBytes,
  }
}

/** The place of the store without user and password. */
export function shownStore(store: string): string {
  return isUrl(store) ? store.replace(/:\/\/[^/]*@/, '://…@') : store
}

export function isUrl(store: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(store)
}

function readStore(input: unknown): string | undefined {
  if (typeof input !== 'string' || input.trim() === '') return undefined
  if (!isUrl(input)) return input
  if (/^rediss?:\/\//.test(input)) return URL.canParse(input) ? input : undefined
  // Several hosts are no URL; the engine says what is wrong with them.
  return /^redis-(cluster|sentinel):\/\/[^\s/]/.test(input) ? input : undefined
}

/** Whether only this machine can reach a listener on this host. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|(0{1,4}:){7}0{0,3}1|::ffff:127(\.\d{1,3}){3})$/i.test(host)
}
