/** What a program that embeds a hub imports. */

export { type ErrorCode, RepriseError, type WireError } from '../shared/errors.ts'
export { ERRORS } from '../shared/errorTable.ts'
export type { Position } from '../shared/positions.ts'
export type { Draft, Durability, Event, From, Gap, Limits, OnGap, Published } from '../shared/protocol.ts'
export { createHub, type Hub, type HubTopic } from './hub.ts'
export type { AllowOrigins, HubOptions, LogLevel, ServeOptions, TopicOptions } from './options.ts'
export type { BindingOption, QueueOptions } from './queueOptions.ts'
export { type RunningServer, startServer } from './serve.ts'
export { parser } from './socket/encoder.ts'
