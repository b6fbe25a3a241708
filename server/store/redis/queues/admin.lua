-- The operations of people and of the hub itself: take away, move back, pause, bind, forget.

local SWEPT = 200
-- Of all subjects together: nobody else is served meanwhile.
local SWEPT_IDS = 500
local SCANNED = 256

-- remove: part id number token
function operations.remove()
  local p = partOf(arg())
  flush()
  local n, record = resolve(arg(), arg(), arg(), recordOf)
  local j = record and decode(n, record)
  if not j or (j.dead == 1) ~= p.dead or j.state == HELD then return { 'none' } end
  unwait(p, j)
  keepAnswer(j, 3, 'removed', '')
  removeJob(p, j)
  return { 'removed' }
end

local function cameAt(p, j)
  if p.dead then return j.expAt end
  return j.request == REDRIVEN and j.replyBy or j.sentAt
end

-- purge: part before limit
function operations.purge()
  local p = partOf(arg())
  local before, limit = num(), num()
  local count = 0
  for _, key in ipairs({ p.suspects, p.blocked, p.ready, p.retrying, p.scheduled }) do
    local skipped = 0
    while count < limit do
      flush()
      local names = redis.call('ZRANGE', key, skipped, skipped + math.min(SCANNED, limit - count) - 1)
      if #names == 0 then break end
      if key == p.scheduled then
        for i = 1, #names do names[i] = whole(tonumber(names[i])) end
      end
      fetch(names)
      for _, n in ipairs(names) do
        local j = jobOf(n)
        if j and cameAt(p, j) <= before then
          unwait(p, j)
          keepAnswer(j, 3, 'removed', '')
          removeJob(p, j)
          count = count + 1
        else
          skipped = skipped + 1
        end
      end
    end
  end
  return { 'done', whole(count) }
end

-- What a binding could not copy is no job.
local function isGap(j)
  local death = fieldOf(DEATHS, j.n)
  local isRead, told = pcall(cjson.decode, death or '[]')
  return isRead and told[1] == 'gap'
end

-- redrive: ttlMs count, then for each: id number token
function operations.redrive()
  local ttlMs, count = num(), num()
  local found = 0
  flush()
  for _ = 1, count do
    local n, record = resolve(arg(), arg(), arg(), recordOf)
    local j = record and decode(n, record)
    if j and j.dead == 1 and j.state ~= HELD and not isGap(j) then
      unwait(dead, j)
      unscore(dead.expiries, n)
      field(DEATHS, n, false)
      dead.count = dead.count - 1
      dead.bytes = dead.bytes - j.size
      dead.removed = dead.removed + 1
      live.count = live.count + 1
      live.bytes = live.bytes + j.size
      note(j, 'redriven')
      -- Nobody waits for a reply any more: there it is kept when it came.
      j.dead, j.suspect, j.attempts, j.request, j.replyBy = 0, 0, 0, REDRIVEN, now
      j.token, j.consumer, j.dueAt, j.ttlMs = '', '', now, ttlMs
      fallDue(live, j)
      put(j)
      found = found + 1
    end
  end
  return { 'done', whole(found) }
end

-- pause: part paused
function operations.pause()
  local p = partOf(arg())
  local paused = num()
  if p.paused == paused then return { 'none' } end
  if s.born == 0 then
    if not mayBeBorn then return 'birth' end
    s.born = 1
  end
  p.paused = paused
  tell('C')
  return { 'changed' }
end

-- bind: topic position; an empty one ends it
function operations.bind()
  local topic, position = arg(), arg()
  local stands = fieldOf(BINDINGS, topic)
  if position == '' then
    if stands then
      field(BINDINGS, topic, false)
      tell('C')
    end
    return { 'done', '' }
  end
  if not stands then
    if full then return { 'error', 'storage_full' } end
    if s.born == 0 then
      if not mayBeBorn then return 'birth' end
      s.born = 1
    end
    stands = position
    field(BINDINGS, topic, position)
    tell('C')
  end
  return { 'done', stands }
end

-- sweep: a bounded part of what has fallen due; each answers when it falls due again.
local sweeps = {}
function sweeps.i(subject, swept)
  local list, hash = tag .. 'idlog:' .. subject, tag .. 'ids:' .. subject
  local floor = tonumber(redis.call('HGET', SUBJECTS, subject) or 0)
  while true do
    local id = redis.call('LINDEX', list, 0)
    if not id then
      redis.call('HDEL', SUBJECTS, subject)
      return nil
    end
    local number, over = string.match(redis.call('HGET', hash, id) or '', '^(%d+) (%d+)')
    local at = tonumber(number) == floor and tonumber(over) or 0
    if at > now or swept.ids >= SWEPT_IDS then
      redis.call('HSET', SUBJECTS, subject, whole(floor))
      if at <= now then swept.more = true end
      return math.max(at, 1)
    end
    forgetId(subject, floor)
    floor = floor + 1
    swept.ids = swept.ids + 1
  end
end
function sweeps.p(key, swept)
  local text = redis.call('HGET', PRODUCERS, key)
  local usedAt = text and tonumber(string.match(text, '(%d+)$'))
  if not usedAt then return nil end
  if usedAt + PRODUCER_MS > now then return usedAt + PRODUCER_MS end
  redis.call('HDEL', PRODUCERS, key)
  redis.call('UNLINK', tag .. 'produced:' .. key)
  swept.producers = swept.producers + 1
  return nil
end
function sweeps.r(id)
  local text = redis.call('HGET', ANSWERS, id)
  if not text then return nil end
  local replyBy = struct.unpack('<d', text)
  if replyBy > now then return replyBy end
  redis.call('HDEL', ANSWERS, id)
  return nil
end
function sweeps.h(text)
  local p, consumer = partOf(string.sub(text, 1, 1)), string.sub(text, 2)
  local h = consumerOf(p, consumer)
  if not h then return nil end
  if isAttached(h) then return h.touchedAt + TOUCH_MS + 1 end
  if redis.call('EXISTS', p.heldBy .. consumer) == 1 then return now + TOUCH_MS end
  redis.call('HDEL', p.consumers, consumer)
  redis.call('ZREM', p.present, consumer)
  consumers[p.consumers][consumer] = false
  return nil
end
function operations.sweep()
  flush()
  flushConsumers()
  local swept = { ids = 0, producers = 0, more = false }
  local found = redis.call('ZRANGEBYSCORE', DUE, '-inf', now, 'LIMIT', 0, SWEPT)
  for _, member in ipairs(found) do
    local at = sweeps[string.sub(member, 1, 1)](string.sub(member, 2), swept)
    if at then
      redis.call('ZADD', DUE, whole(at), member)
    else
      redis.call('ZREM', DUE, member)
    end
  end
  local first = firstScore(DUE)
  local more = swept.more or (#found == SWEPT and first <= now)
  return { 'done', whole(swept.ids), whole(swept.producers), more and '1' or '0', timeText(first) }
end
