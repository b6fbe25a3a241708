-- The operations of people and of the hub itself: take away, run now, move back, pause, bind, drop, forget.

local SCANNED = 256

-- Takes a job away that waits. `false` for another one.
local function take(p, j)
  if not j or (j.dead == 1) ~= p.dead or j.state == HELD then return false end
  unwait(p, j)
  keepAnswer(j, 3, 'removed', '')
  removeJob(p, j)
  return true
end

local function cameAt(p, j)
  if p.dead then return j.expAt end
  return j.request == REDRIVEN and j.replyBy or j.sentAt
end

-- purge: part keep before limit ids, then for each: id number token
function operations.purge()
  local p = partOf(arg())
  policy = { keep = finished.keepOf(arg()) }
  local before, limit, ids = num(), num(), num()
  if life.room() == 0 then
    argi = argi + 3 * ids
    return life.refused()
  end
  local count = 0
  flush()
  for _ = 1, ids do
    local n, record = resolve(arg(), arg(), arg(), recordOf)
    if take(p, record and decode(n, record)) then count = count + 1 end
  end
  for _, key in ipairs({ p.waiting, p.suspects, p.blocked, p.ready, p.grouped, p.retrying, p.scheduled }) do
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
        if j and cameAt(p, j) <= before and take(p, j) then
          count = count + 1
        else
          skipped = skipped + 1
        end
      end
    end
  end
  finished.trim()
  return { 'done', whole(count) }
end

-- runNow: part count, then for each: id number token
function operations.runNow()
  local p, count = partOf(arg()), num()
  local found = 0
  flush()
  for _ = 1, count do
    local n, record = resolve(arg(), arg(), arg(), recordOf)
    local j = record and decode(n, record)
    if j and (j.dead == 1) == p.dead and (j.state == SCHEDULED or j.state == RETRYING) then
      local isNew = j.state == SCHEDULED
      unwait(p, j)
      note(j, 'run')
      dueAt(p, j, math.min(j.dueAt, now))
      if isNew then
        fallDue(p, j)
      else
        makeReady(p, j)
      end
      put(j)
      found = found + 1
    end
  end
  return { 'done', whole(found) }
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
  if life.room() == 0 then
    argi = argi + 3 * count
    return life.refused()
  end
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
      life.retrying(live, j)
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
  if not ensureBorn() then return 'birth' end
  p.paused = paused
  if paused == 0 and not p.dead then
    s.trippedAt, s.trippedDead, s.trippedEnded = 0, 0, 0
    redis.call('UNLINK', tag .. 'outcomes')
  end
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
    if not ensureBorn() then return 'birth' end
    stands = position
    field(BINDINGS, topic, position)
    tell('C')
  end
  return { 'done', stands }
end

-- drop: what the queue is used for, or `dropped`, or `more` where there are too many senders for one call. It is the last of
-- its call: what that knows of the queue is true no more. Its names are its own: Lua takes no more of them outside.
function operations.drop()
  -- Senders that are forgotten in one call, and chunks of leases; older ones are forgotten by their time.
  local SENDERS, CHUNKS = 1000, 100
  -- Keys beside the lists.
  local KEYS_BESIDE = {
    'names', 'bodies', 'history', 'deaths', 'policies', 'progress', 'family', 'children', 'carried', 'heads', 'outcomes',
    'life', 'lifeRow', 'lifeName', 'answers', 'awaits', 'bindings', 'schedules', 'scheduleTimes', 'scheduleBodies',
    'finished', 'finished:done', 'finished:removed', 'finished:names', 'finished:bytes', 'producers', 'subjects', 'due', 'jobs',
  }

  -- Takes entries of a hash away, and the keys that each of them has; answers how many, about `room` at most.
  local function takeSenders(key, room, ...)
    local count, cursor = 0, '0'
    while count < room do
      local found = redis.call('HSCAN', key, cursor, 'COUNT', room)
      cursor = found[1]
      for i = 1, #found[2], 2 do
        local name = found[2][i]
        for _, kind in ipairs({ ... }) do redis.call('UNLINK', tag .. kind .. name) end
        redis.call('HDEL', key, name)
        count = count + 1
      end
      if cursor == '0' then break end
    end
    return count
  end

  if s.born == 0 then return { 'none' } end
  flush()
  flushConsumers()
  local attached = 0
  for _, p in ipairs({ live, dead }) do
    attached = attached + redis.call('ZCOUNT', p.present, now - TOUCH_MS, '+inf')
  end
  local use = {
    live.count, dead.count, attached, redis.call('HLEN', BINDINGS), redis.call('HLEN', tag .. 'schedules'), life.waiting(),
  }
  if math.max(unpack(use)) > 0 then
    for i = 1, #use do use[i] = whole(use[i]) end
    return { 'use', unpack(use) }
  end
  local taken = takeSenders(SUBJECTS, SENDERS, 'ids:', 'idlog:')
  if taken < SENDERS then taken = taken + takeSenders(PRODUCERS, SENDERS - taken, 'produced:') end
  if taken >= SENDERS then return { 'more' } end
  writeEnded()
  local chunk = math.floor(s.serial / CHUNK)
  for n = chunk, math.max(0, chunk - CHUNKS), -1 do redis.call('UNLINK', ENDED .. whole(n)) end
  local keys = {}
  for _, name in ipairs(KEYS_BESIDE) do keys[#keys + 1] = tag .. name end
  for _, p in ipairs({ live, dead }) do
    for list in pairs(LISTS) do keys[#keys + 1] = p[list] end
  end
  -- The figures last: until they are gone, the queue is there.
  keys[#keys + 1] = KEYS[1]
  redis.call('UNLINK', unpack(keys))
  s.born, s.nextTimer, nextSweep = 0, huge, nil
  tell('C')
  return { 'dropped', isLast = true }
end

-- What a sweep does with what was to be forgotten.
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
  flush()
  if redis.call('EXISTS', p.heldBy .. consumer) == 1 then return now + TOUCH_MS end
  redis.call('HDEL', p.consumers, consumer)
  redis.call('ZREM', p.present, consumer)
  consumers[p.consumers][consumer] = false
  return nil
end
