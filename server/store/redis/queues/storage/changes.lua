-- What this call has changed and not yet written, and what it has to tell. Reads of sorted sets and of hands
-- come behind `flush`. What is written last is the figures: a call that fails half-way has given no numbers away.

-- Whether the queue is there, or may be born now.
local mayBeBorn
local function ensureBorn()
  if s.born == 0 and not mayBeBorn then return false end
  s.born = 1
  return true
end
local nextTimerBefore
-- What happens to jobs that fail.
local policy

-- Records as this call leaves them; `false` where there is none.
local records, changedRecords
-- One that was cut off is gone.
local function intact(n, record)
  if not record or #record >= RECORD_SIZE then return record end
  redis.call('HDEL', JOBS, n)
  return false
end
local function recordOf(n)
  local record = records[n]
  if record == nil then
    record = intact(n, redis.call('HGET', JOBS, n))
    records[n] = record
  end
  return record
end
local function setRecord(n, record)
  records[n], changedRecords[n] = record, record
end

-- Values of a hash, `false` for what is missing.
local function valuesOf(key, fields)
  if #fields <= PART_SIZE then return #fields > 0 and redis.call('HMGET', key, unpack(fields)) or {} end
  local values = {}
  for i = 1, #fields, PART_SIZE do
    local part = redis.call('HMGET', key, unpack(fields, i, math.min(i + PART_SIZE - 1, #fields)))
    for k = 1, #part do values[#values + 1] = part[k] end
  end
  return values
end
local function fetch(names)
  local missing = {}
  for i = 1, #names do
    local n = names[i]
    if records[n] == nil then missing[#missing + 1] = n end
  end
  local found = valuesOf(JOBS, missing)
  for i = 1, #missing do records[missing[i]] = intact(missing[i], found[i]) end
end

-- Scores of sorted sets, members of sets, fields of hashes, as they shall be; `false` where they shall not.
local scores, members, fields
local pending
local function noted(all, key)
  local map = all[key]
  if not map then
    map = {}
    all[key] = map
  end
  pending = true
  return map
end
local function score(key, n, value)
  noted(scores, key)[n] = value
end
local function unscore(key, n)
  noted(scores, key)[n] = false
end
local function field(key, name, value)
  noted(fields, key)[name] = value
end
-- `false` where there is none, by what this call has not written yet, too.
local function fieldOf(key, name)
  local map = fields[key]
  if map and map[name] ~= nil then return map[name] end
  return redis.call('HGET', key, name)
end

-- See groups.lua and mend.lua, and what ended for the breaker of deadLetters.lua: how many were done before this call, and
-- how many were dead-lettered since; and life.lua; and children.lua, with the state of a job that waits for its children.
local groups, mending, breaker, life, family = {}, {}, {}, {}, { WAITING = 5 }

-- Makes a key as a map says, by the commands that add and that take away.
local function writeKey(key, map, add, takeAway)
  local adds, gone = {}, {}
  for name, value in pairs(map) do
    if not value then
      gone[#gone + 1] = name
    elseif add == 'HSET' then
      adds[#adds + 1] = name
      adds[#adds + 1] = value
    else
      if add == 'ZADD' then adds[#adds + 1] = value end
      adds[#adds + 1] = name
    end
  end
  many(add, key, adds)
  many(takeAway, key, gone)
end
local function writeAll(maps, add, takeAway)
  for key, map in pairs(maps) do writeKey(key, map, add, takeAway) end
end
local function flush()
  if pending then
    writeAll(fields, 'HSET', 'HDEL')
    pending, fields = false, {}
  end
  groups.flush()
  finished.write()
  if next(changedRecords) then
    writeKey(JOBS, changedRecords, 'HSET', 'HDEL')
    changedRecords = {}
  end
  if next(scores) then
    writeAll(scores, 'ZADD', 'ZREM')
    scores = {}
  end
  if next(members) then
    writeAll(members, 'SADD', 'SREM')
    members = {}
  end
end

-- What stands in a record for its key and its group: the length, and the text.
local function keyText(j)
  if not j.group then return #j.key, j.key end
  local text = struct.pack('<I4', #j.key) .. j.key .. j.group
  return GROUPED + #text, text
end
local function encode(j)
  local keys, key = keyText(j)
  local flags = j.history + (j.own and own.FLAG or 0) + (j.family and own.FAMILY or 0) + (j.progress and own.PROGRESS or 0)
  return struct.pack(
    RECORD, j.state, j.suspect, j.alone, j.capped, j.deliveries, j.serial, j.expiresAt, j.capAt, #j.token, #j.consumer,
    j.size, j.expAt, j.dead, flags, j.named, j.request, j.priority, j.attempts,
    j.sequence, j.sentAt, j.dueAt, j.replyBy, j.ttlMs, keys, #j.subject, #j.id)
    .. j.body .. key .. j.subject .. j.id .. j.token .. j.consumer
end
local function put(j)
  setRecord(j.n, encode(j))
end
local function jobOf(n)
  local record = recordOf(n)
  return record and decode(n, record) or nil
end

-- The earliest time at which something is to be done.
local function due(at)
  if at < s.nextTimer then s.nextTimer = at end
end

local messages
local function tell(...)
  messages[#messages + 1] = table.concat({ ... }, '\n')
end
-- There may be something to claim from `at` on.
local function works(p, at)
  if at < p.told then
    p.told = at
    p.tell = at
  end
end
local lapses
local function tellLapsed(j)
  local list = lapses[j.consumer]
  if not list then
    list = {}
    lapses[j.consumer] = list
  end
  list[#list + 1] = idOf(j)
end

-- Told to the node that called: jobs by what became of them, in the queue or its dead letters, and why or in whose hands.
local losses
local function lose(kind, p, cause)
  local name = kind .. (p.dead and 'd' or 'm') .. cause
  losses[name] = (losses[name] or 0) + 1
end

local KEPT_HISTORY = 20
-- The last things that happened to a job.
local function note(j, what, consumer, why)
  local list = {}
  if j.history == 1 then
    local text = redis.call('HGET', HISTORY, j.n)
    local isRead, kept = pcall(cjson.decode, text or '[]')
    if isRead then list = kept end
  end
  list[#list + 1] = { now, what, consumer or '', why or '' }
  while #list > KEPT_HISTORY do table.remove(list, 1) end
  -- At once: what befalls it next in this call is read behind it.
  redis.call('HSET', HISTORY, j.n, cjson.encode(list))
  j.history = 1
end

-- Consumers.
local consumers
local function consumerOf(p, name)
  local key = p.consumers
  local all = consumers[key]
  if not all then
    all = {}
    consumers[key] = all
  end
  local h = all[name]
  if h == nil then
    local text = redis.call('HGET', key, name)
    h = false
    local session, touchedAt, attached, lastSerial, suspects =
      string.match(text or '', '^(%d+) (%d+) (%d) (%-?%d+) (%d+)$')
    if session then
      h = {
        session = session, touchedAt = tonumber(touchedAt), attached = attached == '1',
        lastSerial = tonumber(lastSerial), suspects = tonumber(suspects),
      }
    end
    all[name] = h
  end
  return h
end
local function putConsumer(p, name, h)
  consumers[p.consumers][name] = h
  h.changed = true
end
local function flushConsumers()
  for key, all in pairs(consumers) do
    for name, h in pairs(all) do
      if h and h.changed then
        h.changed = nil
        redis.call('HSET', key, name, string.format(
          '%s %.0f %d %.0f %d', h.session, h.touchedAt, h.attached and 1 or 0, h.lastSerial, h.suspects))
      end
    end
  end
end
local function isAttached(h)
  return h.attached and now - h.touchedAt <= TOUCH_MS
end

beginnings[#beginnings + 1] = function()
  mayBeBorn = arg() == '1'
  nextTimerBefore = s.nextTimer
  records, changedRecords = {}, {}
  scores, members, fields, pending = {}, {}, {}, false
  policy = nil
  messages, lapses, losses, consumers = {}, {}, {}, {}
  live.tell, dead.tell = nil, nil
  breaker.done, breaker.dead = live.done, 0
end
