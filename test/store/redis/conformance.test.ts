import { describeConformance } from '../conformance/conformance.ts'
import { redisEngine, sharedServers } from './fixture.ts'

const servers = sharedServers('single')

describeConformance('Redis', () => redisEngine(servers()))
