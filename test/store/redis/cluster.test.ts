import { describeConformance } from '../conformance/conformance.ts'
import { describeRandom } from '../model/random.ts'
import { redisEngine, sharedServers } from './fixture.ts'

const servers = sharedServers('cluster')

describeConformance('Redis Cluster', () => redisEngine(servers()))
describeRandom('Redis Cluster', () => redisEngine(servers()))
