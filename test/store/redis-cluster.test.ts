import { describeConformance } from './conformance.ts'
import { describeRandom } from './random.ts'
import { redisEngine, sharedServers } from './redis-fixture.ts'

const servers = sharedServers('cluster')

describeConformance('Redis Cluster', () => redisEngine(servers()))
describeRandom('Redis Cluster', () => redisEngine(servers()))
