/** The SDK's public names. */

export type { ErrorCode } from '../shared/errors.ts'
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
export { connect } from './connect.ts'
export type { Undo } from './emitter.ts'
export type {
  ConnectOptions,
  Ending,
  Failure,
  Handler,
  Hub,
  HubTypes,
  Jitter,
  Progress,
  PublishOptions,
  Receipt,
  Received,
  Status,
  SubscribeOptions,
  Subscription,
  Topic,
  TopicsOf,
} from './face.ts'
