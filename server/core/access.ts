/** Who is calling and what they may do. A `Caller` goes through every call of the core; it is made by the edge. */

import { RepriseError } from '../../shared/errors.ts'
import { queueOfLife } from '../../shared/names.ts'

export const ACTIONS = ['publish', 'subscribe', 'send', 'consume', 'request', 'read', 'admin'] as const
export type Action = (typeof ACTIONS)[number]

/** How tokens may be signed: with a secret that both sides have, or with a private key. */
export const SYMMETRIC = ['HS256', 'HS384', 'HS512'] as const
export const ASYMMETRIC = [
  ...(['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512'] as const),
  ...(['EdDSA', 'Ed25519'] as const),
]

/**
 * Actions (`*` for all) on all names that a pattern fits. In a pattern, `*` stands for any run of characters and `{sub}`
 * for the caller's subject.
 */
export interface Grant {
  readonly actions: readonly (Action | '*')[]
  readonly names: readonly string[]
}

/** Whom a program's own rule has recognized. */
export interface Recognized {
  readonly subject: string
  readonly grants: readonly Grant[]
  /** The only client name that it may use. */
  readonly client?: string | undefined
  /** Milliseconds since 1970. */
  readonly expiresAt?: number | undefined
}

/** A program's own rules of access. */
export interface ProgramRules {
  /** Asked first, at each handshake and request. `undefined`: not known, tokens are looked at. Programs only. */
  readonly authenticate?:
    | ((handshake: Handshake) => Recognized | undefined | Promise<Recognized | undefined>)
    | undefined
  /** Has the last word on each call of a caller who is known. Programs only. */
  readonly authorize?: ((caller: Recognized, action: Action, name: string) => boolean) | undefined
}

/** What a session's credentials allow. It may change while calls are under way: it is renewed, or it ends. */
export interface Access {
  readonly grants: readonly Grant[]
  /** Milliseconds since 1970; without it, it ends by revocation alone. */
  readonly expiresAt?: number | undefined
  /** Why nothing is allowed any more. */
  readonly ended: RepriseError | undefined
  may(action: Action, name: string): boolean
}

export interface Caller {
  /** Whom the credentials name. Cursors, producers and ids belong to a subject. */
  readonly subject: string
  /** The client's own name within the subject; without it nothing is kept for it. */
  readonly client?: string
  readonly access: Access
  /** Whose limits are used up; nobody's where the program itself is calling. */
  readonly counted?: string | undefined
}

const DEAD = '/dead'

/** Throws `forbidden` when it is not granted, and `unauthorized` when the caller's credentials have ended. */
export function authorize(caller: Caller, action: Action, name: string): void {
  const refusal = refusalFor(caller, action, name)
  if (refusal !== undefined) throw refusal
}

/** What `authorize` would throw. Dead letters are their queue's, and whoever manages something may look at it. */
export function refusalFor({ subject, access }: Caller, action: Action, name: string): RepriseError | undefined {
  if (access.ended !== undefined) return access.ended
  const queue = queueOfLife(name)
  if (queue !== undefined) return lifeRefusalFor(subject, access, action, name, queue)
  const of = name.endsWith(DEAD) ? name.slice(0, -DEAD.length) : name
  if (access.may(action, of) || (action === 'read' && access.may('admin', of))) return undefined
  return new RepriseError('forbidden', `${subject} may not ${action} ${name}`)
}

/** What happens to the jobs of a queue sees whoever may look at the queue. */
function lifeRefusalFor(
  subject: string,
  access: Access,
  action: Action,
  name: string,
  queue: string,
): RepriseError | undefined {
  if (action === 'publish')
    return new RepriseError('forbidden', `nobody publishes to ${name}: the hub writes it itself`)
  const isLook = action === 'subscribe' || action === 'read'
  if (access.may('admin', queue) || (isLook && access.may('read', queue))) return undefined
  return new RepriseError('forbidden', `${subject} may not ${action} ${name}`)
}

/** What came with a handshake or a request, from which is told who calls. */
export interface Handshake {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  /** Of the other end of the connection. */
  readonly address: string | undefined
  /** Socket.IO's `auth`; empty over HTTP. */
  readonly auth: Readonly<Record<string, unknown>>
  readonly query: Readonly<Record<string, unknown>>
}

export type SessionChange =
  /** It ends by itself after this long, unless it is renewed. */
  | { readonly kind: 'expiring'; readonly inMs: number }
  /** What it allows may be another thing now. */
  | { readonly kind: 'renewed'; readonly token: string }
  | { readonly kind: 'ended'; readonly error: RepriseError }

/** One use of credentials: a request, or what came with the same token over one connection. */
export interface Session extends Access {
  readonly subject: string
  /** The only client name that its credentials allow. */
  readonly client: string | undefined
  /** Whether its token, or that there is none, was all that was asked. */
  readonly byToken: boolean
  /** Goes on with another token of the same subject. Throws `unauthorized`, or `forbidden` for another's. */
  renew(token: string): Promise<void>
  /** Calls `listener` until the result is called. */
  onChange(listener: (change: SessionChange) => void): () => void
}

export interface Revocation {
  readonly id: string
  /** All of its tokens that were issued up to `at`. */
  readonly subject?: string
  /** The token with this `jti`. */
  readonly tokenId?: string
  readonly at: number
  /** When it is forgotten. */
  readonly until: number
}

export interface Revocations {
  /** Resolves when it holds on every node that can be reached. `until`: when the last of the tokens ends, where that is known. */
  add(of: { readonly subject: string } | { readonly tokenId: string }, until?: number): Promise<Revocation>
  /** In the order of their time. */
  list(): readonly Revocation[]
  /** `false` when there was none. */
  remove(id: string): Promise<boolean>
}

/** Tells who is calling. */
export interface Gate {
  /** Whether anybody is asked for credentials. */
  readonly guarded: boolean
  /**
   * `token`: what the handshake shows. `known`: the session that was opened with the same token on this connection; it is
   * gone on with where the token is what counts. Throws `unauthorized`, or `unavailable` while it cannot be told.
   */
  enter(handshake: Handshake, token: string | undefined, known?: Session): Promise<Session>
  /** Of a guarded hub. */
  readonly revocations?: Revocations
  close?(): void
}

/** A gate that also gives tickets, each of which opens one session. */
export interface TicketGate extends Gate {
  issue(session: Session): Promise<{ readonly ticket: string; readonly expiresInMs: number }>
  /** Throws `unauthorized` for one that is used, over or was never given. */
  redeem(ticket: string): Promise<Session>
}

/** The caller of a session under this client name. Throws `forbidden` where its credentials are for another one. */
export function callerOf(session: Session, client: string | undefined, counted?: string): Caller {
  const { subject } = session
  if (session.client !== undefined && client !== undefined && client !== session.client) {
    throw new RepriseError('forbidden', `the token is for the client ${session.client}`)
  }
  const name = client ?? session.client
  return name === undefined
    ? { subject, access: session, counted }
    : { subject, client: name, access: session, counted }
}

/** Whoever shows no credentials. */
export const ANONYMOUS = 'anonymous'
const PROGRAM_SUBJECT = 'program'

/** Subjects of the hub's own, which no token and no key may name. */
export const RESERVED: ReadonlySet<string> = new Set([ANONYMOUS, PROGRAM_SUBJECT])

const EVERYTHING: readonly Grant[] = [{ actions: ['*'], names: ['*'] }]

function unlimited(subject: string): Session {
  return {
    subject,
    client: undefined,
    grants: EVERYTHING,
    ended: undefined,
    may: () => true,
    byToken: true,
    renew: async () => {},
    onChange: () => nothing,
  }
}

const nothing = () => {}

/** Everybody, where no authentication is configured. */
export const ANYBODY: Session = unlimited(ANONYMOUS)
const PROGRAM = unlimited(PROGRAM_SUBJECT)

/** The gate where no authentication is configured: everybody is the same subject and may do everything. */
export const OPEN_GATE: Gate = { guarded: false, enter: async () => ANYBODY }

/** The way of the program that embeds a guarded hub. */
export const PROGRAM_GATE: Gate = { guarded: false, enter: async () => PROGRAM }

/** The caller where no authentication is configured. */
export function anonymous(client?: string): Caller {
  return callerOf(ANYBODY, client)
}

/** The program that embeds a guarded hub. */
export function program(): Caller {
  return callerOf(PROGRAM, undefined)
}
