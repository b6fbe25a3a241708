import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ROOT } from '../../build/build.ts'
import { countTests } from './count.ts'
import { atEnd } from './ending.ts'
import { run, startChild } from './hub/process.ts'
import { startRelay } from './network/relay.ts'
import { startRedis, startRedisCluster } from './redis/redis.ts'
import { seededRandom } from './seed.ts'
import { diskFolder, tempFolder } from './temp.ts'
import { has } from './tools.ts'
import { until, within } from './until.ts'

async function startHttp(body: string | Buffer): Promise<string> {
  const server: Server = createServer((_request, response) => response.end(body))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

describe('endings', () => {
  let folder = ''
  afterAll(() => expect(existsSync(folder)).toBe(false))

  it('a temporary folder is gone when its test has ended', async () => {
    folder = await tempFolder()
    expect(existsSync(folder)).toBe(true)
  })
})

describe('random', () => {
  it('the same seed gives the same row', () => {
    const row = (seed: number) => Array.from({ length: 20 }, seededRandom(seed).next)
    expect(row(7)).toEqual(row(7))
    expect(row(7)).not.toEqual(row(8))
    const sorted = seededRandom(7)
      .shuffle([1, 2, 3, 4, 5])
      .sort((a, b) => a - b)
    expect(sorted).toEqual([1, 2, 3, 4, 5])
  })
})

describe('until', () => {
  it('says what it waited for and what was there', async () => {
    const wait = until(() => false, { what: 'the moon', deadlineMs: 20, seen: () => ['clouds'] })
    await expect(wait).rejects.toThrow('waited 20 ms in vain for the moon; seen: ["clouds"]')
    await expect(within(new Promise(() => {}), 20, 'the sun')).rejects.toThrow('in vain for the sun')
  })
})

describe('children', () => {
  it('give their exit code and output', async () => {
    const script = 'process.stdin.on("data", (d) => process.stdout.write(d)).on("end", () => process.exit(3))'
    expect(await run([process.execPath, '-e', script], { input: 'hello' })).toMatchObject({ code: 3, stdout: 'hello' })
  })

  it('are told by name when the program does not exist', async () => {
    expect((await run(['no-such-program'])).stderr).toContain('no-such-program')
  })

  it('end when they are killed', async () => {
    const child = startChild([process.execPath, '-e', 'setInterval(() => {}, 1000)'])
    expect(await child.kill()).toEqual({ code: null, signal: 'SIGKILL' })
  })
})

describe('the relay', () => {
  it('passes on, refuses, cuts and leads elsewhere', async () => {
    const relay = await startRelay(await startHttp('one'))
    const fetchText = async () => (await fetch(relay.url, { headers: { connection: 'close' } })).text()
    expect(await fetchText()).toBe('one')
    relay.refuse(true)
    await expect(fetchText()).rejects.toThrow()
    relay.refuse(false)
    relay.lead(await startHttp('two'))
    expect(await fetchText()).toBe('two')
    relay.cut()
    relay.blackHole(true)
    const swallowed = fetchText()
    swallowed.catch(() => {})
    await until(() => relay.connections > 0)
    // fetch asks once more by itself
    relay.refuse(true)
    relay.cut()
    await expect(swallowed).rejects.toThrow()
    expect(relay.connections).toBe(0)
  })

  it('lets what it swallowed pass when the weather clears', async () => {
    const relay = await startRelay(await startHttp('later'))
    relay.blackHole(true)
    const answer = fetch(relay.url).then((response) => response.text())
    await until(() => relay.connections > 0)
    relay.blackHole(false)
    expect(await answer).toBe('later')
  })

  it('throttles and delays', async () => {
    const relay = await startRelay(await startHttp(Buffer.alloc(30_000)))
    relay.throttle(50_000)
    let started = performance.now()
    expect((await (await fetch(relay.url)).arrayBuffer()).byteLength).toBe(30_000)
    const throttledMs = performance.now() - started
    expect(throttledMs).toBeGreaterThan(450)
    relay.throttle(Number.POSITIVE_INFINITY)
    relay.delay(60)
    started = performance.now()
    expect((await (await fetch(relay.url)).arrayBuffer()).byteLength).toBe(30_000)
    expect(performance.now() - started).toBeGreaterThan(115)
  })
})

describe.runIf(has('redis-server', 'redis-cli'))('redis', () => {
  it('a server keeps its port and its append-only file over a restart', async () => {
    const redis = await startRedis({ appendonly: 'yes', appendfsync: 'always' })
    expect(await redis.cli('set', 'a', '1')).toBe('OK')
    await redis.kill()
    await redis.restart()
    expect(await redis.cli('get', 'a')).toBe('1')
  })

  it('a cluster of three answers for every slot', async () => {
    const { nodes } = await startRedisCluster()
    const info = await Promise.all(nodes.map((node) => node.cli('cluster', 'info')))
    for (const text of info) expect(text).toContain('cluster_slots_ok:16384')
  })
})

describe('the count', () => {
  const report = (status: 'passed' | 'failed', ...tests: string[]) => ({
    name: join(ROOT, 'test/a.test.ts'),
    status,
    assertionResults: tests.map((test) => ({ status: test })),
  })

  it('counts what passed, failed and was skipped', () => {
    const counts = countTests({ testResults: [report('failed', 'passed', 'failed', 'pending')] }, false)
    expect(counts).toEqual({
      passed: 1,
      failed: 1,
      skipped: 1,
      skippedFiles: [{ file: 'test/a.test.ts', skipped: 1 }],
    })
  })

  it('a file that does not load, a run that ends badly and no report are failures', () => {
    expect(countTests({ testResults: [report('failed')] }, false).failed).toBe(1)
    expect(countTests({ testResults: [report('passed', 'passed')] }, false).failed).toBe(1)
    expect(countTests(undefined, true)).toMatchObject({ passed: 0, failed: 0 })
  })
})

describe('installing', () => {
  it('asks apt for what is missing, and says in one line what to install when it does not come', async () => {
    const bin = join(await diskFolder(), 'bin')
    await mkdir(bin)
    const apt = '#!/bin/sh\necho "$@" >> "$APT_LOG"\ncase "$*" in *update*|*version*) exit 0;; *) exit 100;; esac\n'
    for (const name of ['apt-get', 'sudo']) {
      const path = join(bin, name)
      await writeFile(path, name === 'sudo' ? '#!/bin/sh\nshift; exec "$@"\n' : apt)
      await chmod(path, 0o755)
    }
    await writeFile(join(bin, 'env'), '#!/bin/sh\nshift; shift; exec "$@"\n', { mode: 0o755 })
    const log = join(bin, 'log')
    const script = `import { installPrograms } from ${JSON.stringify(join(ROOT, 'test/support/install.ts'))}
      console.log(await installPrograms(['chromium', 'strace']))`
    const path = join(bin, 'ask.mts')
    await writeFile(path, script)
    const { stdout } = await run([process.execPath, '--import', import.meta.resolve('tsx'), path], {
      env: { PATH: bin, APT_LOG: log },
    })
    expect(stdout).toContain('installing chromium, strace\n')
    expect(stdout).toContain('install chromium, strace (Debian: apt-get install chromium strace)')
  })
})
