import { describeQueueRandom } from '../model/queueRandom.ts'
import { redisEngine, sharedServers } from './fixture.ts'

const servers = sharedServers('single')

describeQueueRandom('Redis', () => redisEngine(servers()))
