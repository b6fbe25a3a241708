/** What a program that embeds a hub imports. */

export type {
  CloseOptions,
  ConsumeOptions,
  Decision,
  Ending,
  Failure,
  Handler,
  HeldJob,
  HubTypes,
  Jitter,
  JobData,
  Outcome,
  Progress,
  QueueName,
  QueueSchedules,
  QueuesOf,
  Receipt,
  Received,
  RequestOptions,
  SendOptions,
  SendReceipt,
  Status,
  SubscribeOptions,
  Subscription,
  TopicsOf,
  Undo,
  Work,
  Worker,
  WorkerEnding,
  WorkerStatus,
  WorkFailure,
} from '../client/index.ts'
export { dead, release, retry } from '../client/index.ts'
export { type ErrorCode, RepriseError, type WireError } from '../shared/errors.ts'
export { ERRORS, type ErrorKind } from '../shared/errorTable.ts'
export type { Position } from '../shared/positions.ts'
export type {
  Draft,
  Durability,
  Event,
  From,
  Gap,
  GapReason,
  Headers,
  Limits,
  OnGap,
  Published,
  ReadPage,
  ReadQuery,
} from '../shared/protocol.ts'
export type {
  ChildDraft,
  Job,
  JobBackoff,
  JobChild,
  JobDraft,
  JobOptions,
  Missed,
  Schedule,
  ScheduleDraft,
  ScheduleSpec,
  Sent,
} from '../shared/queues.ts'
export type { Hub, HubQueue, HubTopic, LocalName } from './api.ts'
export type { Action, Grant, Handshake, ProgramRules, Recognized } from './core/access.ts'
export type { JsonSchema } from './core/schema/schema.ts'
export { createHub, startServer } from './embedded.ts'
export type { HubHandler } from './http/app.ts'
export type { AuthOptions, JwtOptions, KeyOptions } from './options/auth.ts'
export type { Count, Duration, Size } from './options/checks.ts'
export type { EncryptionOptions } from './options/encryption.ts'
export type { HubOptions, LogLevel, ServeOptions, TopicOptions } from './options/hub.ts'
export type { LimitOptions } from './options/limits.ts'
export type { MetricsOptions } from './options/metrics.ts'
export type { AllowOrigins } from './options/origins.ts'
export type { BindingOption, KeepDoneOption, QueueOptions } from './options/queues.ts'
export type { TlsOptions } from './options/tls.ts'
export type { RunningServer } from './serve.ts'
export { parser } from './socket/transport/encoder.ts'
export type { ProgramServer } from './socket/transport/target.ts'
