import { describeRandom } from './random.ts'
import { redisEngine, sharedServers } from './redis-fixture.ts'

const servers = sharedServers('single')

describeRandom('Redis', () => redisEngine(servers()))
