-- The way of a job out of its queue: into the dead letters, or away.

-- What the sender gives the id of a removed job to next is a new one.
local function forgetIdOf(j)
  if j.named == 0 then return end
  local hash, ending = tag .. 'ids:' .. j.subject, '~' .. j.n
  local given = j.id
  while true do
    local text = redis.call('HGET', hash, given)
    -- It may have been given to another job since.
    if text and string.match(text, '^%d+ %d+ (.*)$') == '=' .. j.id then
      redis.call('HDEL', hash, given)
      return
    end
    if string.sub(given, -#ending) ~= ending then return end
    given = string.sub(given, 1, -1 - #ending)
  end
end

local function removeJob(p, j)
  finish(p, j, finished.REMOVED, '')
  forgetIdOf(j)
  life.tell('removed', idOf(j))
  p.removed = p.removed + 1
  if p.dead then live.removed = live.removed + 1 end
end

-- Into the dead letters. It is in no state any more.
local function enterDeadLetters(j, reason, why)
  local death = { reason, now, why or '' }
  if j.state == HELD then death[4] = j.expAt end
  field(DEATHS, j.n, cjson.encode(death))
  j.dead, j.state, j.suspect, j.token, j.consumer = 1, READY, 0, '', ''
  dead.lastSequence = dead.lastSequence + 1
  j.sequence, j.dueAt, j.expAt = dead.lastSequence, now, now
  dead.sent = dead.sent + 1
  dead.count = dead.count + 1
  dead.bytes = dead.bytes + j.size
  makeReady(dead, j)
  put(j)
  lose('D', live, reason)
end
local function deadLetter(j, reason, why, consumer)
  leaveLine(live, j)
  unscore(live.expiries, j.n)
  live.count = live.count - 1
  live.bytes = live.bytes - j.size
  keepAnswer(j, why and why ~= '' and 4 or 3, reason, why or '')
  note(j, 'dead', consumer, why and why ~= '' and why or reason)
  enterDeadLetters(j, reason, why)
  if reason ~= 'expired' and reason ~= 'child' then breaker.dead = breaker.dead + 1 end
  life.tell('dead', idOf(j), { attempt = j.attempts, error = why and why ~= '' and why or reason })
  family.ended(j, family.DEAD, why and why ~= '' and why or reason, '')
end
-- A parent that waits goes with its child.
function family.fail(parent, why, reason)
  deadLetter(parent, reason or 'child', why)
end

-- Children in other queues have ended.
-- tellParents: count, then of each the parent's id and place, and of the child queue id state error result
function operations.tellParents()
  for _ = 1, num() do
    local parent, n, at = arg(), string.match(arg(), '^(%d+) (%d+)$')
    local queue, id, state, why, result = arg(), arg(), num(), arg(), arg()
    local known = n and s.born == 1 and jobOf(n)
    if known and idOf(known) == parent then family.report(n, at, id, state, why, result, queue) end
  end
  return { 'done' }
end

-- The queue pauses itself where too much of what ended of late went to the dead letters. See breaker.ts.
function breaker.trip()
  local OUTCOMES, PART_MS, PARTS = '<ddddddddddddd', 10000, 6
  local done, died = live.done - breaker.done, breaker.dead
  breaker.done, breaker.dead = live.done, 0
  local key = tag .. 'outcomes'
  if not policy.share or done + died == 0 or live.paused == 1 then return end
  local stored = redis.call('GET', key)
  local counts = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 }
  if stored and #stored == 8 * #counts then counts = { struct.unpack(OUTCOMES, stored) } end
  local part = math.max(math.floor(now / PART_MS), counts[1])
  for i = 0, math.min(part - counts[1], PARTS) - 1 do
    local at = (part - i) % PARTS
    counts[2 + at], counts[2 + PARTS + at] = 0, 0
  end
  counts[1], counts[14] = part, nil
  local at = part % PARTS
  counts[2 + at], counts[2 + PARTS + at] = counts[2 + at] + done, counts[2 + PARTS + at] + died
  local allDone, allDead = 0, 0
  for i = 2, 1 + PARTS do allDone, allDead = allDone + counts[i], allDead + counts[i + PARTS] end
  if died == 0 or allDead < policy.min or allDead <= policy.share * (allDone + allDead) then
    redis.call('SET', key, struct.pack(OUTCOMES, unpack(counts)), 'PX', (PARTS + 1) * PART_MS)
    return
  end
  redis.call('UNLINK', key)
  live.paused = 1
  s.trippedAt, s.trippedDead, s.trippedEnded = now, allDead, allDone + allDead
  tell('C')
  losses['Bm' .. whole(allDone + allDead)] = allDead
end
