/** Looks at a Redis as the hub would before it uses it. Writes nothing. */

import { messageOf, RepriseError } from '../../../shared/errors.ts'
import { WAIT_MS } from '../contract/basics.ts'
import { type Checkup, type Finding, fail, ok, warn } from '../contract/findings.ts'
import { Router } from './connection/router.ts'
import { checkServer, fieldsOf, type Send, sayDurability } from './connection/serverSettings.ts'
import { parseLocation } from './connection/url.ts'
import { keysWith } from './scripting/keys.ts'
import { documentsOf } from './settings.ts'

const SLOW_CLOCK_MS = 1_000
const MOSTLY_FULL = 0.8

export async function checkRedis(url: string): Promise<Checkup> {
  const findings: Finding[] = []
  const location = parseLocation(url)
  const router = new Router(location)
  const deadline = performance.now() + WAIT_MS
  try {
    await router.open(deadline)
    for (const address of router.masters) {
      const ask: Send = (...command) => router.sendTo(address, command, deadline)
      findings.push(...(await checkOne(address, location.kind === 'cluster', ask)))
    }
    const { settings } = keysWith(location.prefix)
    const [reply] = await router.run(settings, [['HGETALL', settings]], deadline)
    return { findings, documents: documentsOf(reply, () => {}) }
  } catch (error) {
    const known = error instanceof RepriseError && error.code === 'unsupported'
    const reason = messageOf(known ? error : (router.lastError ?? error)) || 'no answer'
    const todo = known ? 'change it' : 'is it running, are address, user and password right? (docs/redis.md)'
    return { findings: [...findings, fail('redis', `${location.shown}: ${reason}`, todo)] }
  } finally {
    router.close()
  }
}

async function checkOne(address: string, isCluster: boolean, ask: Send): Promise<Finding[]> {
  const what = address === '' ? 'redis' : `redis ${address}`
  const warnings: string[] = []
  let findings: Finding[]
  try {
    const durability = await checkServer(ask, (message) => warnings.push(message))
    const info = fieldsOf(String(await ask('INFO', 'everything')))
    findings = [ok(what, `version ${info.get('redis_version')}, maxmemory-policy ${info.get('maxmemory_policy')}`)]
    findings.push(...warnings.map((text) => warn(what, text, 'set maxmemory-policy to noeviction')))
    const loss = sayDurability(durability)
    findings.push(
      loss === undefined
        ? ok(what, 'appendonly with appendfsync always: what is acknowledged is on disk')
        : warn(what, loss, 'set appendonly yes, and appendfsync always, unless that is meant'),
    )
    const [most, used] = [Number(info.get('maxmemory') ?? 0), Number(info.get('used_memory') ?? 0)]
    if (most > 0 && used > most * MOSTLY_FULL) {
      const text = `${Math.round((100 * used) / most)} % of maxmemory is used`
      findings.push(warn(what, text, 'raise maxmemory, or keep less'))
    }
  } catch (error) {
    if (error instanceof RepriseError && error.code === 'unsupported') {
      return [fail(what, messageOf(error), 'change it with CONFIG SET and in the configuration of Redis')]
    }
    throw error
  }
  if (isCluster) {
    const state = fieldsOf(String(await ask('CLUSTER', 'INFO'))).get('cluster_state')
    findings.push(
      state === 'ok'
        ? ok(what, 'cluster_state is ok')
        : fail(what, `cluster_state is ${state}`, 'see "redis-cli --cluster check"'),
    )
  }
  return [...findings, await clock(what, ask)]
}

async function clock(what: string, ask: Send): Promise<Finding> {
  const asked = Date.now()
  const [seconds = 0, micros = 0] = ((await ask('TIME')) as unknown[]).map(Number)
  const differs = Math.round(seconds * 1_000 + micros / 1_000 - (asked + Date.now()) / 2)
  const text = `its clock is ${Math.abs(differs)} ms ${differs < 0 ? 'behind' : 'ahead of'} this one`
  return Math.abs(differs) < SLOW_CLOCK_MS ? ok(what, text) : warn(what, text, 'set both clocks by NTP')
}
