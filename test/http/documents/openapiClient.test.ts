/** What is made of the OpenAPI document does its work at a hub: a small client that checks each answer by the document, and in the long run what a generator makes of it. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { asking } from '../../support/clients/ask.ts'
import { SECRET, tokenOf } from '../../support/clients/tokens.ts'
import { startHub } from '../../support/hub/hub.ts'
import { tempFolder } from '../../support/temp.ts'
import { soak } from '../../support/tools.ts'
import { closed } from './closed.ts'

interface Answer {
  readonly status: number
  readonly data: Readonly<Record<string, unknown>>
}

/** As the generator has it: the parameters of the path one by one, the body, the query as an object. */
type Client = Readonly<Record<string, Readonly<Record<string, (...args: unknown[]) => Promise<Answer>>>>>

interface Operation {
  readonly operationId: string
  readonly tags: readonly [string]
  readonly requestBody?: object
  readonly responses: object
}

interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

const { url } = await startHub({ auth: { jwt: { secret: SECRET } } })
const { body: document } = await asking(url)<Document>('GET', '/openapi.json')
const authorization = `Bearer ${await tokenOf('ann')}`

/** Each answer has to be one that the operation names, and to fit its schema. Rejects with `{ status, error }`. */
function clientOf(headers: Readonly<Record<string, string>>): Client {
  const ajv = new Ajv2020({ strict: false, inlineRefs: false, validateSchema: false })
  ajv.addSchema(closed(document), 'document')
  const ask = asking(`${url}/v1`)
  const client: Record<string, Client[string]> = {}
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { operationId, tags, requestBody, responses }] of Object.entries(methods)) {
      const call = async (...args: unknown[]): Promise<Answer> => {
        const place = path.replace(/\{\w+\}/g, () => encodeURIComponent(String(args.shift())))
        const body = requestBody === undefined ? undefined : args.shift()
        const query = new URLSearchParams(args.shift() as Record<string, string> | undefined)
        const { status, body: data } = await ask<Answer['data']>(
          method.toUpperCase(),
          query.size > 0 ? `${place}?${query}` : place,
          body,
          headers,
        )
        const pointer = `${path}/${method}/responses/${status}`
        const answer = (responses as Readonly<Record<string, { $ref?: string }>>)[status]
        expect(answer, pointer).toBeDefined()
        const at = answer?.$ref ?? `#/paths/${path.replaceAll('/', '~1')}/${method}/responses/${status}`
        const type = status < 300 ? 'application/json' : 'application/problem+json'
        const fits = ajv.compile({ $ref: `document${encodeURI(at)}/content/${type.replace('/', '~1')}/schema` })
        expect(fits(data), `${pointer}: ${JSON.stringify(fits.errors)}`).toBe(true)
        if (status >= 300) throw { status, error: data }
        return { status, data }
      }
      client[tags[0]] = { ...client[tags[0]], [operationId]: call }
    }
  }
  return client
}

/** What the generator makes, with the validation that it does first. */
async function generated(headers: Readonly<Record<string, string>>): Promise<Client> {
  const { generateApi } = await import('swagger-typescript-api')
  const { ModuleKind, ScriptTarget, transpileModule } = await import('typescript')
  const options = { spec: document as never, output: false, silent: true, moduleNameFirstTag: true } as const
  const { files } = await generateApi(options)
  const compilerOptions = { module: ModuleKind.ESNext, target: ScriptTarget.ES2022 }
  const { outputText } = transpileModule(files.map((file) => file.fileContent).join('\n'), { compilerOptions })
  const file = join(await tempFolder(), 'client.mjs')
  await writeFile(file, outputText)
  const { Api } = (await import(pathToFileURL(file).href)) as { Api: new (options: object) => Client }
  return new Api({ baseUrl: `${url}/v1`, baseApiParams: { headers } })
}

describe.each([
  { name: 'a client that checks each answer', make: clientOf, run: true },
  { name: 'what a generator makes', make: generated, run: soak },
])('$name', ({ name, make, run }) => {
  const topic = `orders.${name.length}`

  it.runIf(run)('publishes, reads, waits, sends, claims, settles, manages and tells errors', async () => {
    const { topics, queues, cursors, access } = await make({ authorization })
    expect(await topics?.publish?.(topic, [{ data: { id: 1 } }, { data: { id: 2 } }])).toMatchObject({
      status: 201,
      data: { offsets: [1, 2], durability: 'fsync' },
    })
    expect(await topics?.readEvents?.(topic, { limit: 1 })).toMatchObject({
      data: { last: 2, events: [{ offset: 1, data: { id: 1 } }] },
    })
    const waiting = topics?.readEvents?.(topic, { after: '2', waitMs: 10_000 })
    await topics?.publish?.(topic, { base64: 'AAEC' })
    expect(await waiting).toMatchObject({ data: { events: [{ offset: 3, base64: 'AAEC' }] } })

    const sent = await queues?.sendJobs?.(topic, { data: { to: 'ann' } })
    const claimed = await queues?.claimJobs?.(topic, { max: 1 })
    const [job] = (claimed?.data.jobs ?? []) as readonly { readonly id: string; readonly lease: string }[]
    expect(sent?.data.ids).toEqual([job?.id])
    expect(await queues?.getJob?.(topic, job?.id)).toMatchObject({ data: { state: 'held', data: { to: 'ann' } } })
    const settlement = { id: job?.id, lease: job?.lease, as: 'done' }
    expect(await queues?.settleJobs?.(topic, [settlement])).toMatchObject({ data: ['ok'] })

    await topics?.putTopicSettings?.(topic, { retain: { events: 10 } })
    await queues?.putQueueSettings?.(topic, { maxAttempts: 3, from: [topic] })
    await cursors?.seekCursor?.(topic, 'phone', { from: 'start' })
    const answers = await Promise.all([
      topics?.getTopic?.(topic),
      topics?.getTopicSettings?.(topic),
      topics?.listTopics?.({ limit: 10 }),
      queues?.getQueue?.(topic),
      queues?.getQueueSettings?.(topic),
      queues?.listQueues?.({ limit: 10 }),
      queues?.listJobs?.(topic, { state: 'ready' }),
      cursors?.listCursors?.(topic, { limit: 5 }),
      access?.getMe?.(),
      access?.listRevocations?.(),
    ])
    for (const answer of answers) expect(answer).toMatchObject({ status: 200 })

    await expect(topics?.getTopic?.('absent')).rejects.toMatchObject({ status: 404, error: { code: 'not_found' } })
    await expect(topics?.publish?.(topic, { data: 1, nonsense: 1 })).rejects.toMatchObject({
      error: { code: 'unsupported', retryable: false },
    })
    const stranger = await make({})
    await expect(stranger.access?.getMe?.()).rejects.toMatchObject({ status: 401, error: { code: 'unauthorized' } })
  })
})
