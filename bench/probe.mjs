/** Loaded into the hub beside its program (`node --import`): tells its memory to the process that started it. */

const SAMPLE_MS = 25

let samples = []
let timer

const calls = {
  /** After a full collection. */
  memory: () => {
    globalThis.gc?.()
    globalThis.gc?.()
    return process.memoryUsage()
  },
  watch: () => {
    samples = []
    timer = setInterval(() => samples.push(process.memoryUsage.rss()), SAMPLE_MS)
  },
  unwatch: () => {
    clearInterval(timer)
    return samples
  },
  rss: () => process.memoryUsage.rss(),
  cpu: () => process.cpuUsage(),
}

process.on('message', ({ id, call }) => process.send?.({ id, value: calls[call]?.() }))
process.on('disconnect', () => process.kill(process.pid, 'SIGTERM'))
// The channel is not to keep a hub alive that was told to stop.
process.channel?.unref()
