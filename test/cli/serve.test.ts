import { once } from 'node:events'
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { EXIT } from '../../cli/exit.ts'
import { cliCommand, runCli, spawnHub, startChild } from '../support/hub/process.ts'
import { memoryMb } from '../support/memory.ts'
import { tempFolder } from '../support/temp.ts'
import { until, within } from '../support/until.ts'

describe('serve', () => {
  it('tells its address in one line, says who may connect, and ends with 0 at SIGTERM', async () => {
    const hub = await spawnHub()
    await until(() => hub.stdout().includes('no authentication'))
    expect(hub.stdout()).toMatch(/^listening on http:\/\/127\.0\.0\.1:\d+\n/)
    expect(hub.stdout()).toContain('everyone on this machine may publish and read, other machines cannot connect')
    expect((await runCli(['pub', 't', '1', '--url', hub.url])).stdout).toBe('1\n')
    expect(await hub.kill('SIGTERM')).toEqual({ code: EXIT.ok, signal: null })
    const messages = hub.stderr().trim().split('\n')
    expect(messages.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
      'started',
      'stopping',
      'stopped',
    ])
  })

  it('gives the memory back that its start has used when it has nothing to do, and ends as before', async () => {
    const hub = await spawnHub()
    let most = 0
    await until(
      () => {
        const mb = memoryMb(hub.pid)
        most = Math.max(most, mb)
        return mb < most - 6
      },
      { what: 'less memory', deadlineMs: 12_000, everyMs: 10, seen: () => most },
    )
    expect(await hub.kill('SIGTERM')).toEqual({ code: EXIT.ok, signal: null })
  })

  it('ends with 0 at Ctrl-C, and keeps what was published', async () => {
    const first = await spawnHub()
    await runCli(['pub', 't', '1', '--url', first.url])
    expect(await first.kill('SIGINT')).toEqual({ code: EXIT.ok, signal: null })
    const second = await spawnHub({ data: first.data })
    expect((await runCli(['pub', 't', '2', '--url', second.url])).stdout).toBe('2\n')
  })

  it('tells its address as JSON with --json', async () => {
    const data = await tempFolder()
    const child = startChild([...cliCommand(), 'serve', '--port', '0', '--data', data, '--json'])
    await until(() => child.stdout().endsWith('\n'))
    const told = JSON.parse(child.stdout()) as Record<string, string>
    expect(told).toEqual({ message: `listening on ${told.url}`, url: expect.stringMatching(/^http:/), store: data })
  })

  it('takes its options from the environment and the file as well', async () => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'hub.yaml'), 'data: ./events\npath: /rt\ntopics: { "*": { retain: { events: 2 } } }\n')
    const child = startChild([...cliCommand(), 'serve'], {
      cwd,
      env: { REPRISE_PORT: '0', REPRISE_CONFIG: 'hub.yaml' },
    })
    const [, url = ''] = await until(() => /listening on (\S+)/.exec(child.stdout()))
    const remote = ['--url', url, '--path', '/rt']
    expect((await runCli(['pub', 't', ...remote], { input: '1\n2\n3\n' })).code).toBe(EXIT.ok)
    const { stdout } = await runCli(['tail', 't', '--json', ...remote])
    expect(stdout.trim().split('\n')).toHaveLength(2)
    expect(await readdir(cwd)).toContain('events')
  })

  it.skipIf(process.platform !== 'linux')(
    'loses no connection while it is busy, where a thousand come at once',
    async () => {
      const most = Number(await readFile('/proc/sys/net/core/somaxconn', 'utf8'))
      const hub = await spawnHub()
      hub.process.kill('SIGSTOP')
      const sockets = Array.from({ length: Math.min(1_000, most) }, () => connect(hub.port, '127.0.0.1'))
      // The system has said yes to each. One that it has no place for tries again after a second, in vain.
      await within(Promise.all(sockets.map((socket) => once(socket, 'connect'))), 10_000, 'all connections')
      for (const socket of sockets) socket.destroy()
      hub.process.kill('SIGCONT')
    },
  )

  it('ends with 1 and one line when the port is taken, and touches no folder', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await until(() => taken.listening)
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const cwd = await tempFolder()
    const { code, stdout, stderr } = await runCli(['serve', '--port', String(port)], { cwd })
    taken.close()
    expect(stderr).toMatch(/^reprise: port \d+ of 127\.0\.0\.1 is taken.*; choose another with --port.*\n$/)
    expect({ code, stdout }).toEqual({ code: EXIT.failed, stdout: '' })
    expect(await readdir(cwd)).toEqual([])
  })

  it('ends with 1 and one line when another hub has the folder, which goes on', async () => {
    const hub = await spawnHub()
    const { code, stderr } = await runCli(['serve', '--port', '0', '--data', hub.data])
    expect(stderr).toMatch(/^reprise: [^\n]+\n$/)
    expect(stderr).toContain(hub.data)
    expect(code).toBe(EXIT.failed)
    expect((await runCli(['pub', 't', '1', '--url', hub.url])).stdout).toBe('1\n')
  })

  it('ends with 1 and one line when there is no folder to be had', async () => {
    const cwd = await tempFolder()
    await writeFile(join(cwd, 'file'), 'not a folder')
    const { code, stderr } = await runCli(['serve', '--port', '0', '--data', join(cwd, 'file', 'data')])
    expect(stderr).toMatch(/^reprise: [^\n]+\n$/)
    expect(code).toBe(EXIT.failed)
    expect(await readdir(cwd)).toEqual(['file'])
  })

  it('ends with 1 and one line when the folder cannot be written', async () => {
    const cwd = await tempFolder()
    await mkdir(join(cwd, 'data'))
    await chmod(join(cwd, 'data'), 0o500)
    // Permissions do not bind root; the kernel's own file systems do.
    const data = process.getuid?.() === 0 ? '/sys/reprise' : join(cwd, 'data')
    const { code, stderr } = await runCli(['serve', '--port', '0', '--data', data])
    expect(stderr).toMatch(/^reprise: [^\n]+\n$/)
    expect(code).toBe(EXIT.failed)
  })
})

describe('a hub that goes away', () => {
  it('is waited for by sub, which goes on without a seam', async () => {
    const first = await spawnHub()
    await runCli(['pub', 't', '1', '--url', first.url])
    const sub = startChild([...cliCommand(), 'sub', 't', '--url', first.url, '--from', 'start', '--client', 'me'])
    await until(() => sub.stdout() !== '')
    await first.kill('SIGKILL')
    await until(() => sub.stderr().includes('trying again'))
    const second = await spawnHub({ data: first.data, port: first.port })
    await runCli(['pub', 't', '2', '--url', second.url])
    await until(() => sub.stdout().split('\n').length === 3, { seen: () => sub.stdout() + sub.stderr() })
    expect(sub.stdout()).toMatch(/^ +1 .* 1\n +2 .* 2\n$/)
    await until(() => sub.stderr().includes('connected again'))
    expect(await sub.kill('SIGTERM')).toEqual({ code: EXIT.terminated, signal: null })
  })

  it('is not waited for longer than --timeout', async () => {
    const hub = await spawnHub()
    hub.process.kill('SIGSTOP')
    try {
      const { code, stderr } = await runCli(['pub', 't', '1', '--url', hub.url, '--timeout', '300ms'])
      expect(stderr).toMatch(/^reprise: no hub at .* \(no answer in 300 ms\): .*\n$/)
      expect(code).toBe(EXIT.failed)
    } finally {
      hub.process.kill('SIGCONT')
    }
  })

  it('in the middle of its lines is told by pub with what was kept', async () => {
    const hub = await spawnHub()
    const pub = startChild([...cliCommand(), 'pub', 't', '--url', hub.url, '--json', '--timeout', '3s'], {
      input: Array.from({ length: 200_000 }, (_, i) => `${i}\n`).join(''),
    })
    await until(() => pub.stdout() !== '')
    await hub.kill('SIGKILL')
    const { code } = await within(pub.exited, 15_000, 'pub to give up')
    const error = JSON.parse(pub.stderr()) as { error: { message: string } }
    const told = pub.stdout().trim().split('\n').length
    expect(error.error.message).toMatch(
      new RegExp(`^line ${told + 1}: .*; published ${told} events: offsets 1 to ${told} of t,`),
    )
    expect(code).toBe(EXIT.failed)
  })
})
