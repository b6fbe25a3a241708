/** The OpenAPI document, made of the rows that are served: what is not in one is not in the other. */

import type { ErrorCode } from '../../../shared/errors.ts'
import { ERRORS } from '../../../shared/errorTable.ts'
import type { Route } from '../routes.ts'
import { Components } from './components.ts'
import { problemAnswer } from './topics.ts'

/** What every route may answer, and every one with a body. */
const COMMON = ['bad_request', 'unauthorized', 'forbidden', 'too_many', 'unavailable'] as const
const WITH_BODY = ['too_large', 'unsupported'] as const

const PARAMETERS: Readonly<Record<string, readonly [description: string, example: string]>> = {
  topic: ['Name of a topic; of its settings also a pattern with `*`', 'orders'],
  queue: [
    'Name of a queue, with `/dead` (encoded or not) of its dead letters; of its settings also a pattern',
    'emails',
  ],
  client: ['Name of a client', 'phone'],
  name: ['Name of a schedule', 'daily'],
  id: ['What the list or the call before has named', '12'],
}

const TAGS = [
  { name: 'topics', description: 'Publish, read, stream and manage topics' },
  { name: 'cursors', description: "Clients' positions in topics" },
  { name: 'queues', description: 'Send, claim, settle and manage jobs' },
  { name: 'clients', description: 'Who is connected to a node' },
  { name: 'access', description: 'Who calls, tickets, revocations' },
]

const SECURITY_SCHEMES = {
  jwt: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'JWT',
    description: 'A token of the issuer that the hub trusts',
  },
  apiKey: {
    type: 'http',
    scheme: 'bearer',
    bearerFormat: 'rk_<name>_<secret>',
    description: 'A key of the configuration',
  },
  ticket: { type: 'apiKey', in: 'query', name: 'ticket', description: 'From `POST /tickets`; opens one stream' },
}

const DESCRIPTION =
  'Topics and queues over HTTP; docs/http.md says more. A hub without `auth` asks for no token. Names, times and sizes are as in docs/protocol.md.'

export function openApiOf(rows: readonly Route[]): object {
  const components = new Components()
  const paths: Record<string, Record<string, object>> = {}
  for (const row of rows) {
    const path = row.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [row.method]: operationOf(row, components) }
  }
  const responses = responsesOf(components)
  return {
    openapi: '3.1.0',
    info: {
      title: 'Reprise',
      version: '1',
      description: DESCRIPTION,
      license: { name: 'MIT', identifier: 'MIT' },
    },
    servers: [{ url: 'v1' }],
    tags: TAGS,
    security: [{}, { jwt: [] }, { apiKey: [] }],
    paths,
    components: { schemas: components.all(), responses, securitySchemes: SECURITY_SCHEMES },
  }
}

function tagOf(path: string): string {
  if (path.includes('/cursors')) return 'cursors'
  return /^\/(topics|queues|clients)\b/.exec(path)?.[1] ?? 'access'
}

function operationOf(row: Route, components: Components): object {
  const { id, path, summary, query, headers = {}, body, bodyOptional, status, answer, ticketed, refuses = [] } = row
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name = '']) => {
      const [description, example] = PARAMETERS[name] ?? []
      return { name, in: 'path', required: true, description, example, schema: { type: 'string' } }
    }),
    ...Object.entries(query).map(([name, schema]) => {
      const { description, ...rest } = components.schemaOf(schema)
      return { name, in: 'query', description, schema: rest }
    }),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      schema: { type: 'string' },
    })),
  ]
  const codes = [...COMMON, ...(body === undefined ? [] : WITH_BODY), ...refuses]
  const refusals = codes.map((code) => [ERRORS[code].http, { $ref: `#/components/responses/${responseOf(code)}` }])
  return {
    operationId: id,
    tags: [tagOf(path)],
    summary,
    parameters,
    ...(ticketed === true ? { security: [{}, { jwt: [] }, { apiKey: [] }, { ticket: [] }] } : {}),
    ...(body === undefined
      ? {}
      : {
          requestBody: {
            required: bodyOptional !== true,
            content: { 'application/json': { schema: components.schemaOf(body) } },
          },
        }),
    responses: {
      [status]: answerOf(summary, answer, components),
      ...Object.fromEntries(refusals),
      default: { $ref: '#/components/responses/Problem' },
    },
  }
}

function answerOf(description: string, answer: Route['answer'], components: Components): object {
  if (answer === undefined) return { description }
  if (typeof answer === 'string') return { description, content: { [answer]: { schema: { type: 'string' } } } }
  return { description, content: { 'application/json': { schema: components.schemaOf(answer) } } }
}

/** One for each status, as codes may share one. */
function responseOf(code: ErrorCode): string {
  return codesOf(ERRORS[code].http)[0]?.replace(/(?:^|_)(\w)/g, (_, letter) => letter.toUpperCase()) ?? ''
}

function codesOf(status: number): ErrorCode[] {
  return (Object.keys(ERRORS) as ErrorCode[]).filter((code) => ERRORS[code].http === status)
}

function responsesOf(components: Components): object {
  const schema = components.schemaOf(problemAnswer)
  const response = (codes: readonly ErrorCode[], description: string) => {
    const [code = 'internal'] = codes
    const { http: status, retryable, when } = ERRORS[code]
    const type = `urn:reprise:error:${code}`
    const example = { type, title: when, status, code, detail: when, message: when, retryable }
    return { description, content: { 'application/problem+json': { schema, example } } }
  }
  const statuses = new Set(Object.values(ERRORS).map(({ http }) => http))
  const each = [...statuses].map((status) => {
    const codes = codesOf(status)
    const told = codes.map((code) => `\`${code}\`: ${ERRORS[code].when}`).join('; ')
    return [responseOf(codes[0] ?? 'internal'), response(codes, told)]
  })
  return {
    ...Object.fromEntries(each),
    Problem: response(['internal'], `Any other refusal; \`code\` is one of ${Object.keys(ERRORS).join(', ')}`),
  }
}
