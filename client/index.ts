/** The SDK's public names. */

export type { ErrorCode, WireError } from '../shared/errors.ts'
export { RepriseError } from '../shared/errors.ts'
export type { Position } from '../shared/positions.ts'
export type {
  Draft,
  Durability,
  Event,
  From,
  Gap,
  GapReason,
  Headers,
  OnGap,
  ReadPage,
  ReadQuery,
} from '../shared/protocol.ts'
export type {
  ChildDraft,
  Job,
  JobBackoff,
  JobChild,
  JobCounts,
  JobDraft,
  JobEnding,
  JobLook,
  JobOptions,
  JobsPage,
  JobsQuery,
  LifeEvent,
  LifeKind,
  LogLine,
  LookState,
  Missed,
  Schedule,
  ScheduleDraft,
  ScheduleSpec,
} from '../shared/queues.ts'
export type {
  ConnectOptions,
  Ending,
  Failure,
  Handler,
  Hub,
  HubTypes,
  Jitter,
  JobData,
  PendingPublish,
  Progress,
  PublishOptions,
  QueueName,
  QueuesOf,
  Receipt,
  Received,
  SharedStatus,
  Status,
  SubscribeOptions,
  Subscription,
  Topic,
  TopicsOf,
  TransactionalDatabase,
  TransactionHandler,
  TransactionOptions,
} from './api.ts'
export { type Preparing, prepareDatabase } from './browser/transactions.ts'
export { connect } from './connect.ts'
export type { CloseOptions } from './connection/deadline.ts'
export type { Undo } from './connection/emitter.ts'
export type {
  BulkDraft,
  ConsumeOptions,
  HeldJob,
  Queue,
  RequestOptions,
  SendOptions,
  SendReceipt,
  Work,
  Worker,
  WorkerEnding,
  WorkerStatus,
  WorkFailure,
} from './queues/api.ts'
export { type Decision, dead, type Outcome, release, retry } from './queues/outcome.ts'
export type { QueueSchedules } from './schedules/api.ts'
