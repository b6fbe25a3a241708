import { describeQueueRandom } from './queue-random.ts'
import { redisEngine, sharedServers } from './redis-fixture.ts'

const servers = sharedServers('single')

describeQueueRandom('Redis', () => redisEngine(servers()))
