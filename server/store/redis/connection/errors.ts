/** What an error of Redis or of the way to it means to a caller, and whether anything can have been done. */

import { messageOf, RepriseError } from '../../../../shared/errors.ts'

/** The command was never given to a server: it may be given again. */
export class NotSent extends Error {
  override readonly name = 'NotSent'
}

/** Answers that say that nothing was done and that it may be otherwise soon. */
const PASSING = /^(LOADING|CLUSTERDOWN|TRYAGAIN|MASTERDOWN|READONLY|BUSY|NOREPLICAS|NOMASTERLINK|MOVED|ASK)\b/

/** The server has not what was loaded into it before. Nothing was done. */
const FORGETFUL = /^(NOSCRIPT\b|ERR Function not found)/

export function isPassing(error: unknown): boolean {
  return error instanceof NotSent || PASSING.test(messageOf(error))
}

/** The server is a replica and takes no writes. */
export function isReplica(error: unknown): boolean {
  return /^READONLY\b/.test(messageOf(error))
}

/** The server does not let this hub in, or is none that it trusts. */
export function isRefusal(error: unknown): boolean {
  return /\b(NOAUTH|WRONGPASS|NOPERM|certificate)\b/.test(messageOf(error))
}

export function isForgetful(error: unknown): boolean {
  return FORGETFUL.test(messageOf(error))
}

export function isFull(error: unknown): boolean {
  return /\bOOM\b/.test(messageOf(error))
}

/** Why a call was refused. The texts of Redis have no secrets; the commands beside them are not handed on. */
export function failure(error: unknown): RepriseError {
  if (error instanceof RepriseError) return error
  const message = messageOf(error)
  if (isFull(error)) return storageFull()
  if (/^MISCONF\b/.test(message)) {
    return new RepriseError('storage_full', 'Redis cannot write to its disk and takes no writes')
  }
  if (/^(NOAUTH|WRONGPASS|NOPERM)\b/.test(message)) {
    return new RepriseError('unavailable', `Redis refuses this hub: ${message.slice(0, 120)}`)
  }
  if (isPassing(error) || isForgetful(error)) return new RepriseError('unavailable', `Redis is away: ${message}`)
  return new RepriseError('internal', `Redis answered with an error: ${message.slice(0, 300)}`)
}

export function storageFull(): RepriseError {
  return new RepriseError('storage_full', 'the memory of Redis is full (maxmemory): there is no room for more')
}

export function unknownOutcome(): RepriseError {
  return new RepriseError('unavailable', 'the answer of Redis was lost: whether the call was done is unknown')
}
