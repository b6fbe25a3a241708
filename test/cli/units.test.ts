import { describe, expect, it } from 'vitest'
import { readBytes, readDurationMs, readSwitch } from '../../shared/units.ts'

describe('units', () => {
  it.each([
    ['1GiB', 2 ** 30],
    ['1.5 kb', 1_500],
    ['500MB', 500_000_000],
    ['42', 42],
    [42, 42],
    ['1_000', 1_000],
    ['', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    [1.5, undefined],
    ['1 gigabyte', undefined],
    ['1constructor', undefined],
    [null, undefined],
    ['9e99', undefined],
    ['99999999TB', undefined],
  ])('size %j is %j', (text, bytes) => {
    expect(readBytes(text)).toBe(bytes)
  })

  it.each([
    ['7d', 604_800_000],
    ['30s', 30_000],
    ['250ms', 250],
    ['2h', 7_200_000],
    ['5m', 300_000],
    ['1w', 604_800_000],
    [1_000, 1_000],
    ['0.5s', 500],
    ['7 days', undefined],
    [Number.NaN, undefined],
  ])('duration %j is %j', (text, ms) => {
    expect(readDurationMs(text)).toBe(ms)
  })

  it.each([
    [['true', 'yes', 'on', '1', 'Yes', 1, true], true],
    [['false', 'no', 'off', '0', 'OFF', 0, false], false],
    [['', 'maybe', '2', 2, null, [], undefined], undefined],
  ])('switches %j are %j', (texts, is) => {
    for (const text of texts) expect(readSwitch(text), String(text)).toBe(is)
  })
})
