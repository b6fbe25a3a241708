/** The OpenAPI document, made of the rows that are served: what is not in one is not in the other. */

import { z } from 'zod'
import { ERRORS } from '../../../shared/errorTable.ts'
import type { Route } from '../routes.ts'
import { problemAnswer } from './topics.ts'

const PROBLEM = { $ref: '#/components/responses/Problem' }

export function openApiOf(rows: readonly Route[]): object {
  const paths: Record<string, Record<string, object>> = {}
  for (const row of rows) {
    const path = row.path.replace(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [row.method]: operationOf(row) }
  }
  return {
    openapi: '3.1.0',
    info: { title: 'Reprise', version: '1', description: 'Topics and queues over HTTP. docs/http.md says more.' },
    servers: [{ url: 'v1' }],
    paths,
    components: {
      responses: {
        Problem: {
          description: `An error; \`code\` is one of ${Object.keys(ERRORS).join(', ')}`,
          content: { 'application/problem+json': { schema: schemaOf(problemAnswer) } },
        },
      },
      securitySchemes: { token: { type: 'http', scheme: 'bearer' } },
    },
    security: [{}, { token: [] }],
  }
}

function operationOf({ path, summary, query, headers = {}, body, status, answer }: Route): object {
  const parameters = [
    ...[...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
      name,
      in: 'path',
      required: true,
      schema: { type: 'string' },
    })),
    ...Object.entries(query).map(([name, schema]) => {
      const { description, ...rest } = schemaOf(schema)
      return { name, in: 'query', description, schema: rest }
    }),
    ...Object.entries(headers).map(([name, description]) => ({
      name,
      in: 'header',
      description,
      schema: { type: 'string' },
    })),
  ]
  return {
    summary,
    parameters,
    ...(body === undefined
      ? {}
      : { requestBody: { required: true, content: { 'application/json': { schema: schemaOf(body) } } } }),
    responses: { [status]: answerOf(summary, answer), default: PROBLEM },
  }
}

function answerOf(description: string, answer: Route['answer']): object {
  if (answer === undefined) return { description }
  if (typeof answer === 'string') return { description, content: { [answer]: { schema: { type: 'string' } } } }
  return { description, content: { 'application/json': { schema: schemaOf(answer) } } }
}

function schemaOf(schema: z.ZodType): Record<string, unknown> {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' })
  // Text that is read as a number is a number to whoever asks.
  if (rest.type === 'integer') delete rest.pattern
  return rest
}
