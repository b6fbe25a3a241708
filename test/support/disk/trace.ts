/** Reads what strace wrote of a hub: what went to its data file, when it was on the disk, what went out to clients. */

import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import type { HubProcess } from '../hub/process.ts'
import { has, pathOf } from '../tools.ts'

/** In the order in which they happened. */
export type Step =
  /** Bytes handed to the system. They may reach the disk at any moment, or never. `onDisk`: they have reached it. */
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer; readonly onDisk: boolean }
  /** From here a sync is under way: it covers the writes before. */
  | { readonly kind: 'syncing'; readonly sync: number }
  /** That sync has ended. */
  | { readonly kind: 'synced'; readonly sync: number }
  /** Bytes begin to leave for a client. */
  | { readonly kind: 'sent'; readonly text: string }

const CALLS = ['openat', 'lseek', 'pwrite64', 'write', 'writev', 'fsync', 'fdatasync', 'ftruncate', 'sendto', 'sendmsg']

/** Whether programs may be traced here; containers often forbid it. */
export function mayTrace(): boolean {
  return has('strace') && spawnSync(pathOf('strace'), ['-o', '/dev/null', 'true'], { stdio: 'ignore' }).status === 0
}

/** To put before a hub's command. */
export function traceTo(file: string): string[] {
  return [pathOf('strace'), '-f', '--seccomp-bpf', '-xx', '-s', '1000000', '-e', `trace=${CALLS.join(',')}`, '-o', file]
}

/** The tracer's child is killed, not the tracer, which would let it run on. */
export async function killTraced({ pid, exited }: Pick<HubProcess, 'pid' | 'exited'>): Promise<void> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, 'utf8')
  for (const child of children.trim().split(' ')) process.kill(Number(child), 'SIGKILL')
  await exited
}

interface Call {
  readonly name: string
  readonly args: string
  readonly began: number
  readonly ended: number
  readonly result: number
}

/** `path`: the data file. */
export function stepsOf(trace: string, path: string): Step[] {
  const steps: { readonly at: number; readonly step: Step }[] = []
  const files = new Map<number, { onDisk: boolean; place: number }>()
  const hexPath = hexOf(Buffer.from(path))
  let syncs = 0
  for (const { name, args, began, ended, result } of callsOf(trace)) {
    const fd = Number(/^\d+/.exec(args)?.[0] ?? -1)
    const file = files.get(fd)
    if (name === 'openat') {
      if (result < 0) continue
      if (args.includes(`"${hexPath}"`)) files.set(result, { onDisk: /O_D?SYNC/.test(args), place: 0 })
      else files.delete(result)
    } else if (name === 'sendto' || name === 'sendmsg' || ((name === 'write' || name === 'writev') && !file)) {
      steps.push({ at: began, step: { kind: 'sent', text: Buffer.concat(buffersOf(args)).toString('latin1') } })
    } else if (file === undefined || result < 0) {
      // Not of the data file, or without effect.
    } else if (name === 'lseek') {
      file.place = result
    } else if (name === 'fsync' || name === 'fdatasync') {
      const sync = ++syncs
      steps.push({ at: began, step: { kind: 'syncing', sync } }, { at: ended, step: { kind: 'synced', sync } })
    } else if (name === 'ftruncate') {
      throw new Error('the data file was cut: the trace is not understood')
    } else {
      const bytes = Buffer.concat(buffersOf(args)).subarray(0, result)
      if (bytes.length !== result) throw new Error(`a write of ${result} bytes shows ${bytes.length}`)
      const offset = name === 'pwrite64' ? Number(/(\d+)$/.exec(args)?.[1]) : file.place
      if (name !== 'pwrite64') file.place += result
      steps.push({ at: ended, step: { kind: 'write', offset, bytes, onDisk: file.onDisk } })
    }
  }
  return steps.sort((a, b) => a.at - b.at).map(({ step }) => step)
}

/** Calls in the order of their ends. One that another thread interrupted has two lines. */
function* callsOf(trace: string): Generator<Call> {
  const open = new Map<string, { readonly name: string; readonly args: string; readonly began: number }>()
  let at = 0
  for (const line of trace.split('\n')) {
    at += 1
    const [, thread = '', rest = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    const resumed = /^<\.\.\. (\w+) resumed>(.*)\) += (-?\d+)/.exec(rest)
    if (resumed) {
      const begun = open.get(thread)
      open.delete(thread)
      if (begun === undefined) continue
      yield { ...begun, args: begun.args + (resumed[2] ?? ''), ended: at, result: Number(resumed[3]) }
      continue
    }
    const unfinished = /^(\w+)\((.*?),? *<unfinished \.\.\.>$/.exec(rest)
    if (unfinished) {
      open.set(thread, { name: unfinished[1] ?? '', args: unfinished[2] ?? '', began: at })
      continue
    }
    const whole = /^(\w+)\((.*)\) += (-?\d+)/.exec(rest)
    if (whole) yield { name: whole[1] ?? '', args: whole[2] ?? '', began: at, ended: at, result: Number(whole[3]) }
  }
}

function buffersOf(args: string): Buffer[] {
  return Array.from(args.matchAll(/"((?:\\x[0-9a-f]{2})*)"/g), ([, hex = '']) =>
    Buffer.from(hex.replaceAll('\\x', ''), 'hex'),
  )
}

function hexOf(bytes: Buffer): string {
  return Array.from(bytes, (byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')
}
