/** What the route of the doctor answers. */

import { z } from 'zod'

const finding = z
  .object({
    what: z.string(),
    state: z.enum(['ok', 'warn', 'fail']),
    text: z.string(),
    todo: z.string().exactOptional().meta({ description: 'What is to be done' }),
  })
  .meta({ id: 'Finding' })

export const doctorAnswer = z.object({ node: z.string(), findings: z.array(finding) }).meta({
  id: 'Findings',
  examples: [{ node: 'host-4f21c0', findings: [{ what: 'disk', state: 'ok', text: '81234 MiB are free' }] }],
})
