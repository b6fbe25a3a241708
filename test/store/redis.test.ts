import { describeConformance } from './conformance.ts'
import { redisEngine, sharedServers } from './redis-fixture.ts'

const servers = sharedServers('single')

describeConformance('Redis', () => redisEngine(servers()))
