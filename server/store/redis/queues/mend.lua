-- What is done where the lists of a queue do not fit the records of its jobs, as somebody has taken keys or parts of them
-- away: the lists are made anew from the records. A job whose record is gone and that a list names is dead-lettered by
-- its number, or by its sender's name for it, so that it is told.

-- A record whose parts have the lengths that it says.
local function isWhole(record)
  if #record < RECORD_SIZE then return false end
  local state = string.byte(record, 1)
  local tokens, consumers, size = struct.unpack('<BI2I4', record, TOKEN_AT)
  local keys, subjects, ids = struct.unpack('<I4I4I4', record, KEY_LENGTH_AT)
  keys = keys % GROUPED
  local small = size <= SMALL and size or 0
  return state <= family.WAITING and #record == RECORD_SIZE + small + keys + subjects + ids + tokens + consumers
end

-- `lost`: how many jobs this call has found lost, where it had to mend.
beginnings[#beginnings + 1] = function()
  mending.lost = nil
end

-- Whether every job is in one list, and every list's job is there. Nothing of this call may be unwritten.
function mending.fits()
  if redis.call('HLEN', JOBS) ~= live.count + dead.count then return false end
  for _, p in ipairs({ live, dead }) do
    local count = 0
    for _, key in ipairs({ p.ready, p.suspects, p.grouped, p.blocked, p.scheduled, p.retrying, p.held, p.waiting }) do
      count = count + redis.call('ZCARD', key)
    end
    -- The first job that waits behind another one stands in the line of its key.
    local waits = redis.call('ZRANGE', p.blocked, 0, 0)[1]
    local j = waits and jobOf(waits)
    if waits and not (j and fieldOf(HEADS, j.key) and redis.call('ZSCORE', p.line .. j.key, waits)) then return false end
    if count ~= p.count or redis.call('ZCARD', p.retryingBySequence) ~= redis.call('ZCARD', p.retrying) then return false end
  end
  return family.fits() and groups.fit()
end

-- Numbers that lists name, and the lists themselves away.
local function takeLists(present)
  local named = {}
  for _, p in ipairs({ live, dead }) do
    for _, key in ipairs({
      p.ready, p.suspects, p.grouped, p.blocked, p.retrying, p.retryingBySequence, p.held, p.expiries, p.scheduled, p.waiting,
    }) do
      for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        local n = whole(tonumber(member) or 0)
        if n ~= '0' and not present[n] then named[n] = p end
      end
      redis.call('UNLINK', key)
    end
    for _, consumer in ipairs(redis.call('HKEYS', p.consumers)) do redis.call('UNLINK', p.heldBy .. consumer) end
  end
  for _, key in ipairs(redis.call('HKEYS', HEADS)) do redis.call('UNLINK', live.line .. key) end
  redis.call('UNLINK', HEADS)
  groups.clear()
  return named
end

-- Into the lists of its state, whatever that is.
local function lay(p, j)
  if j.state == SCHEDULED then
    score(p.scheduled, string.format('%014.0f', j.n), j.dueAt)
    due(j.dueAt)
  elseif j.state == HELD then
    score(p.held, j.n, j.expiresAt)
    noted(members, p.heldBy .. j.consumer)[j.n] = true
    due(j.expiresAt)
    local h = j.suspect == 1 and consumerOf(p, j.consumer)
    if h then
      h.suspects = h.suspects + 1
      putConsumer(p, j.consumer, h)
    end
  elseif j.state == family.WAITING then
    score(p.waiting, j.n, tonumber(j.n))
  elseif j.state == RETRYING then
    makeRetrying(p, j)
  elseif j.state == BLOCKED then
    makeBlocked(p, j)
  else
    makeReady(p, j)
  end
end

local function deadLetterLost(n, name)
  local size = redis.call('HSTRLEN', BODIES, n)
  dead.sent = dead.sent + 1
  dead.lastSequence = dead.lastSequence + 1
  dead.count = dead.count + 1
  dead.bytes = dead.bytes + size
  local j = {
    n = n, state = READY, suspect = 0, alone = 0, capped = 0, deliveries = 0, serial = 0, expiresAt = 0, capAt = 0,
    token = '', consumer = '', size = size, expAt = now, dead = 1, history = 0, named = name and 1 or 0, request = 0,
    priority = 4, attempts = 0, sequence = dead.lastSequence, sentAt = now, dueAt = now, replyBy = 0, ttlMs = 0, key = '',
    subject = '', id = name or 'damaged', body = '',
  }
  if size <= SMALL then
    redis.call('HDEL', BODIES, n)
    dead.bytes = dead.bytes - size
    j.size = 0
  end
  field(DEATHS, n, cjson.encode({ 'rejected', now, 'damaged' }))
  field(own.key, n, false)
  family.forget(n)
  field(own.progressKey, n, false)
  lay(dead, j)
  put(j)
end

function mending.mend()
  flush()
  records = {}
  -- Numbers that were never given are what a call has left that failed half-way.
  local highest = s.born == 1 and s.number or huge
  local all = redis.call('HGETALL', JOBS)
  local jobs, present = {}, {}
  for i = 1, #all, 2 do
    local n, record = all[i], all[i + 1]
    if tonumber(n) <= highest and isWhole(record) then
      jobs[#jobs + 1] = decode(n, record)
      present[n] = true
    else
      redis.call('HDEL', JOBS, n)
    end
  end
  table.sort(jobs, function(a, b) return a.sequence < b.sequence end)
  for _, j in ipairs(jobs) do
    if j.key ~= '' then redis.call('UNLINK', live.line .. j.key) end
    redis.call('UNLINK', live.group .. groups.nameOf(j))
    if j.state == HELD then redis.call('UNLINK', (j.dead == 1 and dead or live).heldBy .. j.consumer) end
  end
  local named = takeLists(present)
  for i = 1, #all, 2 do
    if not present[all[i]] then named[all[i]] = named[all[i]] or live end
  end
  local names = redis.call('HGETALL', NAMES)
  local nameOf = {}
  for i = 1, #names, 2 do
    local n = names[i + 1]
    if not present[n] then
      redis.call('HDEL', NAMES, names[i])
      nameOf[n] = names[i]
      -- It may be in no list at all.
      named[n] = named[n] or live
    end
  end
  for _, p in ipairs({ live, dead }) do
    p.count, p.bytes = 0, 0
    for _, consumer in ipairs(redis.call('HKEYS', p.consumers)) do
      local h = consumerOf(p, consumer)
      if h then
        h.suspects = 0
        putConsumer(p, consumer, h)
      end
    end
  end
  local heads = {}
  for _, j in ipairs(jobs) do
    if j.key ~= '' and j.dead == 0 and j.state ~= SCHEDULED and j.state ~= BLOCKED and j.state ~= family.WAITING then heads[j.key] = j.n end
  end
  for _, j in ipairs(jobs) do
    local p = j.dead == 1 and dead or live
    p.count, p.bytes = p.count + 1, p.bytes + j.size
    p.lastSequence = math.max(p.lastSequence, j.sequence)
    s.number, s.serial = math.max(s.number, tonumber(j.n)), math.max(s.serial, j.serial)
    if j.state == BLOCKED and not heads[j.key] then
      heads[j.key] = j.n
      j.state = READY
      put(j)
    end
    if j.named == 1 then field(NAMES, j.id, j.n) end
    lay(p, j)
  end
  for key, n in pairs(heads) do field(HEADS, key, n) end
  local lost = 0
  for n in pairs(named) do
    if tonumber(n) > highest then
      for _, key in ipairs({ BODIES, HISTORY, DEATHS, own.key, own.progressKey }) do redis.call('HDEL', key, n) end
      named[n] = nil
    end
  end
  for n, p in pairs(named) do
    s.number = math.max(s.number, tonumber(n))
    lost = lost + 1
    if not p.dead then deadLetterLost(n, nameOf[n]) end
  end
  s.born, s.nextTimer = 1, math.min(s.nextTimer, now)
  live.told, dead.told = huge, huge
  works(live, now)
  flush()
  for _, j in ipairs(jobs) do
    local waits = j.state == family.WAITING and j.dead == 0 and jobOf(j.n)
    if waits and waits.state == family.WAITING and waits.dead == 0 then family.mend(waits, present) end
  end
  flush()
  mending.lost = (mending.lost or 0) + lost
end

-- Before the operations of a call: one look at how many there are, a closer one where something is due or was asked for.
function mending.look(isClose)
  flush()
  local fits = redis.call('HLEN', JOBS) == live.count + dead.count
  if fits and isClose then fits = mending.fits() end
  if not fits then mending.mend() end
end
