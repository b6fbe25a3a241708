-- How jobs change their state, and what this call has changed but not yet written. Reads of sorted sets and of hands
-- come behind `flush`. What is written last is the figures: a call that fails half-way has given no numbers away.

-- `1` when there is no room, so that only what needs none is done · `1` when the queue may be born.
local full, mayBeBorn, maxIds
local nextDueBefore

-- Records as this call leaves them; `false` where there is none.
local records, changedRecords
local function recordOf(n)
  local record = records[n]
  if record == nil then
    record = redis.call('HGET', JOBS, n)
    records[n] = record
  end
  return record
end
local function setRecord(n, record)
  records[n] = record
  changedRecords[n] = true
end

-- A command over any number of arguments, in parts that Lua can hand over; `width` of them belong together.
local PART_SIZE = 3000
local function many(command, key, args)
  local count = #args
  if count == 0 then return end
  if count <= PART_SIZE then
    redis.call(command, key, unpack(args))
    return
  end
  for i = 1, count, PART_SIZE do
    redis.call(command, key, unpack(args, i, math.min(i + PART_SIZE - 1, count)))
  end
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
  for i = 1, #missing do records[missing[i]] = found[i] end
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

local function flush()
  if pending then
    pending = false
    for key, map in pairs(fields) do
      local sets, dels = {}, {}
      for name, value in pairs(map) do
        if value then
          sets[#sets + 1] = name
          sets[#sets + 1] = value
        else
          dels[#dels + 1] = name
        end
      end
      many('HSET', key, sets)
      many('HDEL', key, dels)
    end
    fields = {}
  end
  if next(changedRecords) then
    local sets, dels = {}, {}
    for n in pairs(changedRecords) do
      local record = records[n]
      if record then
        sets[#sets + 1] = n
        sets[#sets + 1] = record
      else
        dels[#dels + 1] = n
      end
    end
    changedRecords = {}
    many('HSET', JOBS, sets)
    many('HDEL', JOBS, dels)
    many('HDEL', BODIES, dels)
  end
  if next(scores) then
    for key, map in pairs(scores) do
      local adds, rems = {}, {}
      for n, value in pairs(map) do
        if value then
          adds[#adds + 1] = value
          adds[#adds + 1] = n
        else
          rems[#rems + 1] = n
        end
      end
      many('ZADD', key, adds)
      many('ZREM', key, rems)
    end
    scores = {}
  end
  if next(members) then
    for key, map in pairs(members) do
      local adds, rems = {}, {}
      for n, isIn in pairs(map) do
        local list = isIn and adds or rems
        list[#list + 1] = n
      end
      many('SADD', key, adds)
      many('SREM', key, rems)
    end
    members = {}
  end
end

local function encode(j)
  return struct.pack(
    RECORD, j.state, j.suspect, j.alone, j.capped, j.deliveries, j.serial, j.expiresAt, j.capAt, #j.nonce, #j.holder,
    j.size, j.expAt, j.dead, j.history, j.named, j.request, j.priority, j.attempts,
    j.place, j.sentAt, j.dueAt, j.replyBy, j.ttlMs, #j.key, #j.subject, #j.id)
    .. j.key .. j.subject .. j.id .. j.nonce .. j.holder
end
local function put(j)
  setRecord(j.n, encode(j))
end
local function jobOf(n)
  local record = recordOf(n)
  return record and decode(n, record) or nil
end

-- What a sweep forgets, and when it comes to that first.
local nextSweep
local function forgetAt(at, member)
  redis.call('ZADD', DUE, whole(at), member)
  if not nextSweep or at < nextSweep then nextSweep = at end
end

-- The earliest time at which something is to be done.
local function due(at)
  if at < s.nextDue then s.nextDue = at end
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
  local list = lapses[j.holder]
  if not list then
    list = {}
    lapses[j.holder] = list
  end
  list[#list + 1] = idOf(j)
end

-- The last 20 things that befell a job.
local function befall(j, what, holder, why)
  local list = {}
  if j.history == 1 then
    local text = redis.call('HGET', HISTORY, j.n)
    if text then list = cjson.decode(text) end
  end
  list[#list + 1] = { now, what, holder or '', why or '' }
  while #list > 20 do table.remove(list, 1) end
  -- At once: what befalls it next in this call is read behind it.
  redis.call('HSET', HISTORY, j.n, cjson.encode(list))
  j.history = 1
end

-- Holders.
local holders
local function holderOf(p, name)
  local key = p.holders
  local all = holders[key]
  if not all then
    all = {}
    holders[key] = all
  end
  local h = all[name]
  if h == nil then
    local text = redis.call('HGET', key, name)
    h = false
    if text then
      local session, touchedAt, attached, lastSerial, suspects =
        string.match(text, '^(%d+) (%d+) (%d) (%-?%d+) (%d+)$')
      h = {
        session = session, touchedAt = tonumber(touchedAt), attached = attached == '1',
        lastSerial = tonumber(lastSerial), suspects = tonumber(suspects),
      }
    end
    all[name] = h
  end
  return h
end
local function putHolder(p, name, h)
  holders[p.holders][name] = h
  h.changed = true
end
local function flushHolders()
  for key, all in pairs(holders) do
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

-- Takes a held job out of its holder's hands, into no state yet.
local function unhold(p, j)
  unscore(p.held, j.n)
  noted(members, p.handsOf .. j.holder)[j.n] = false
  if j.suspect == 1 then
    local h = holderOf(p, j.holder)
    if h then
      h.suspects = math.max(0, h.suspects - 1)
      putHolder(p, j.holder, h)
    end
  end
end

-- Into `ready`, where it is the first of its key's line or has none.
local function makeReady(p, j)
  j.state = READY
  score(j.suspect == 1 and p.suspects or p.ready, j.n, (9 - j.priority) * BAND + j.place)
  score(p.expiring, j.n, j.expAt)
  due(p.dead and j.expAt + s.deadMs or j.expAt)
  works(p, now)
end

local function headOf(key)
  local map = fields[HEADS]
  if map and map[key] ~= nil then return map[key] end
  return redis.call('HGET', HEADS, key)
end

-- Gives a job its place, and with it its place in the line of its key.
local function fallDue(p, j)
  p.places = p.places + 1
  j.place = p.places
  j.expAt = math.min(j.dueAt + j.ttlMs, j.request == REQUEST and j.replyBy or huge)
  if j.key ~= '' and not p.dead then
    if headOf(j.key) then
      j.state = BEHIND
      score(p.behind, j.n, j.place)
      score(p.line .. j.key, j.n, j.place)
      score(p.expiring, j.n, j.expAt)
      due(j.expAt)
      return
    end
    field(HEADS, j.key, j.n)
  end
  makeReady(p, j)
end

-- Takes a job that waits out of its state.
local function unwait(p, j)
  if j.state == READY then
    unscore(j.suspect == 1 and p.suspects or p.ready, j.n)
  elseif j.state == BEHIND then
    unscore(p.behind, j.n)
    unscore(p.line .. j.key, j.n)
  elseif j.state == AGAIN then
    unscore(p.again, j.n)
    unscore(p.againPlaces, j.n)
  elseif j.state == FIRST then
    unscore(p.first, string.format('%014.0f', j.n))
  end
end

-- A job that leaves the queue makes the next one of its key the first.
local function leaveLine(p, j)
  if j.key == '' or p.dead or j.state == BEHIND or j.state == FIRST then return end
  flush()
  local following = redis.call('ZPOPMIN', p.line .. j.key)[1]
  if not following then
    field(HEADS, j.key, false)
    return
  end
  field(HEADS, j.key, following)
  unscore(p.behind, following)
  local first = jobOf(following)
  if first then
    makeReady(p, first)
    put(first)
  end
end

-- Requests.
local function answer(j, code, reason, content)
  if j.request ~= REQUEST or j.dead == 1 then return end
  local id = idOf(j)
  if j.replyBy > now then
    redis.call('HSET', ANSWERS, id, struct.pack('<dBB', j.replyBy, code, #reason) .. reason .. content)
    forgetAt(j.replyBy, 'r' .. id)
  end
  tell('R', id)
end

-- The job is taken from the queue for good; it is in no state any more.
local function vanish(p, j)
  leaveLine(p, j)
  unscore(p.expiring, j.n)
  if j.history == 1 then field(HISTORY, j.n, false) end
  if p.dead then field(DEATHS, j.n, false) end
  if j.named == 1 then field(NAMES, j.id, false) end
  setRecord(j.n, false)
  p.count = p.count - 1
  p.bytes = p.bytes - j.size
end
local function removed(p, j)
  vanish(p, j)
  p.removed = p.removed + 1
  if p.dead then live.removed = live.removed + 1 end
end

-- Into the dead letters. It is in no state any more.
local function buried(j, reason, why)
  field(DEATHS, j.n, cjson.encode({ reason, now, why or '' }))
  j.dead, j.state, j.suspect, j.nonce, j.holder = 1, READY, 0, '', ''
  dead.places = dead.places + 1
  j.place, j.dueAt, j.expAt = dead.places, now, now
  dead.sent = dead.sent + 1
  dead.count = dead.count + 1
  dead.bytes = dead.bytes + j.size
  makeReady(dead, j)
  put(j)
end
local function bury(j, reason, why, holder)
  leaveLine(live, j)
  unscore(live.expiring, j.n)
  live.count = live.count - 1
  live.bytes = live.bytes - j.size
  answer(j, why and why ~= '' and 4 or 3, reason, why or '')
  befall(j, 'dead', holder, why and why ~= '' and why or reason)
  buried(j, reason, why)
end

-- A failure: another attempt later, or the end.
local policy
local function fail(p, j, why, delayMs)
  j.attempts = j.attempts + 1
  if not p.dead and j.attempts >= policy.maxAttempts then return bury(j, 'max_attempts', why, j.holder) end
  local delay = delayMs >= 0 and delayMs or policy.backoff(j.attempts)
  j.dueAt = now + delay
  if delay <= 0 then
    makeReady(p, j)
  else
    j.state = AGAIN
    local at = p.dead and j.dueAt or math.min(j.dueAt, j.expAt)
    score(p.again, j.n, at)
    score(p.againPlaces, j.n, j.place)
    score(p.expiring, j.n, j.expAt)
    due(at)
    works(p, at)
  end
  put(j)
end
local function isAlone(p, j)
  if j.alone == 0 then return false end
  local h = holderOf(p, j.holder)
  return not h or h.lastSerial == j.serial
end
local function lapse(p, j)
  unhold(p, j)
  tellLapsed(j)
  if j.capped == 1 or isAlone(p, j) then
    befall(j, 'lapsed', j.holder)
    return fail(p, j, nil, -1)
  end
  j.suspect = 1
  befall(j, 'suspect', j.holder)
  makeReady(p, j)
  put(j)
end
local function release(p, j)
  unhold(p, j)
  j.suspect = 0
  befall(j, 'release', j.holder)
  j.nonce, j.holder = '', ''
  makeReady(p, j)
  put(j)
end

beginnings[#beginnings + 1] = function()
  full, mayBeBorn = arg() == '1', arg() == '1'
  maxIds = num()
  nextDueBefore = s.nextDue
  records, changedRecords = {}, {}
  scores, members, fields, pending = {}, {}, {}, false
  nextSweep, policy = nil, nil
  messages, lapses, holders = {}, {}, {}
  live.tell, dead.tell = nil, nil
end
