-- Reads only: `info` part · `jobs` part state limit id number token · `line` part key limit id number token ·
-- `some` part, then id number token of each · `answer` id number token · `schedulesNamed` names ·
-- `due` limit · `finished`, see there. Each job is told by its number, record, body, history, death, number and record of what it is behind, and
-- what it has in place of the policy, its family, and what its consumers told.

local function recordOf(n)
  local record = redis.call('HGET', JOBS, n)
  -- One that was cut off is found by the next call that writes.
  return record and #record >= RECORD_SIZE and record
end

local function told(reply, n, record)
  local j = decode(n, record)
  local at = #reply
  reply[at + 1], reply[at + 2] = n, record
  reply[at + 3] = j.size > SMALL and redis.call('HGET', BODIES, n) or j.body
  reply[at + 4] = j.history == 1 and redis.call('HGET', HISTORY, n) or ''
  reply[at + 5] = j.dead == 1 and redis.call('HGET', DEATHS, n) or ''
  local head = j.state == BLOCKED and redis.call('HGET', HEADS, j.key)
  reply[at + 6] = head or ''
  reply[at + 7] = head and recordOf(head) or ''
  reply[at + 8] = j.own and redis.call('HGET', own.key, n) or ''
  reply[at + 9] = j.family and redis.call('HGET', tag .. 'family', n) or ''
  reply[at + 10] = j.progress and redis.call('HGET', own.progressKey, n) or ''
end

local function toldAll(names, limit)
  local reply = { 'jobs' }
  for i = 1, math.min(limit, #names) do
    local record = recordOf(names[i])
    if record then told(reply, names[i], record) end
  end
  return reply
end

-- Numbers and places behind a place, by place, at most so many.
local function bySequence(p, after, limit, keys)
  local found = {}
  local function add(key, base)
    local entries = redis.call(
      'ZRANGEBYSCORE', key, '(' .. whole(base + after), '(' .. whole(base + BAND), 'WITHSCORES', 'LIMIT', 0, limit)
    for i = 1, #entries, 2 do found[#found + 1] = { entries[i], tonumber(entries[i + 1]) - base } end
  end
  for _, key in ipairs(keys) do
    local banded = key == p.ready or key == p.suspects
    if redis.call('EXISTS', key) == 1 then
      for band = 0, banded and 9 or 0 do add(key, band * BAND) end
    end
  end
  table.sort(found, function(a, b) return a[2] < b[2] end)
  return found
end

local reads = {}

function reads.info()
  local p = partOf(arg())
  if s.born == 0 then return { 'none' } end
  local function count(...)
    local total = 0
    for _, key in ipairs({ ... }) do total = total + redis.call('ZCARD', key) end
    return whole(total)
  end
  local oldest = bySequence(p, 0, 1, { p.ready, p.suspects, p.blocked, p.grouped })[1]
  local record = oldest and recordOf(oldest[1])
  local reply = {
    'known', whole(p.sent), count(p.ready, p.suspects, p.blocked, p.grouped), count(p.scheduled, p.retrying), count(p.held), count(p.waiting), whole(p.done),
    whole(p.dead and 0 or dead.count), whole(p.removed), whole(p.bytes),
    record and whole(decode(oldest[1], record).dueAt) or '',
    whole(redis.call('ZCOUNT', p.present, now - TOUCH_MS, '+inf')), whole(p.paused),
    whole(p.dead and 0 or s.trippedAt), whole(s.trippedDead), whole(s.trippedEnded),
    whole(s.events == 1 and s.lifeNext - s.lifeFirst or 0), whole(s.events == 1 and s.lifeBytes or 0),
  }
  if not p.dead then
    for _, value in ipairs(redis.call('HGETALL', BINDINGS)) do reply[#reply + 1] = value end
  end
  return reply
end

function reads.jobs()
  local p = partOf(arg())
  local state, limit = arg(), num()
  local id, number, token = arg(), arg(), arg()
  local after = nil
  if id ~= '' then
    local n, record = resolve(id, number, token, recordOf)
    after = record and decode(n, record)
    if not after or (after.dead == 1) ~= p.dead then return { 'jobs' } end
  end
  local sequence = after and after.sequence or 0
  local names = {}
  if state == 'ready' then
    for _, entry in ipairs(bySequence(p, sequence, limit, { p.ready, p.suspects, p.blocked, p.grouped })) do
      names[#names + 1] = entry[1]
    end
  elseif state == 'held' then
    local held = {}
    for _, n in ipairs(redis.call('ZRANGE', p.held, 0, -1)) do
      local record = recordOf(n)
      local at = record and decode(n, record).sequence
      if at and at > sequence then held[#held + 1] = { n, at } end
    end
    table.sort(held, function(a, b) return a[2] < b[2] end)
    for i = 1, math.min(limit, #held) do names[i] = held[i][1] end
  elseif state == 'waiting' then
    local from = after and '(' .. after.n or '-inf'
    names = redis.call('ZRANGEBYSCORE', p.waiting, from, '+inf', 'LIMIT', 0, limit)
  else
    local from = 0
    if after and after.state == SCHEDULED then
      from = (redis.call('ZRANK', p.scheduled, string.format('%014.0f', after.n)) or -1) + 1
    else
      for _, entry in ipairs(bySequence(p, sequence, limit, { p.retryingBySequence })) do names[#names + 1] = entry[1] end
    end
    if #names < limit then
      for _, member in ipairs(redis.call('ZRANGE', p.scheduled, from, from + limit - #names - 1)) do
        names[#names + 1] = whole(tonumber(member))
      end
    end
  end
  return toldAll(names, limit)
end

function reads.line()
  local p, key, limit = partOf(arg()), arg(), num()
  local id, number, token = arg(), arg(), arg()
  local names, from = {}, '-inf'
  if p.dead then return { 'jobs' } end
  if id ~= '' then
    local n, record = resolve(id, number, token, recordOf)
    local after = record and decode(n, record)
    if not after or after.dead == 1 or after.key ~= key or after.state == SCHEDULED then return { 'jobs' } end
    if after.state == BLOCKED then from = '(' .. whole(after.sequence) end
  else
    names[1] = redis.call('HGET', HEADS, key) or nil
  end
  local behind = redis.call('ZRANGEBYSCORE', p.line .. key, from, '+inf', 'LIMIT', 0, math.max(0, limit - #names))
  for _, n in ipairs(behind) do names[#names + 1] = n end
  return toldAll(names, limit)
end

function reads.some()
  local p = partOf(arg())
  local reply = { 'jobs' }
  while argi < #ARGV do
    local n, record = resolve(arg(), arg(), arg(), recordOf)
    if record and (decode(n, record).dead == 1) == p.dead then told(reply, n, record) end
  end
  return reply
end

-- What is kept of a finished job under this id.
local function keptAs(id, n, token)
  local named = redis.call('HGET', finished.names, id)
  local number = named or n
  local row = number ~= '' and redis.call('HGET', finished.key, number)
  if not row or (not named and string.byte(row, 2) == 1) then return nil end
  local rowId, over = finished.idIn(row)
  if over <= now or rowId ~= (named and id or token) then return nil end
  return number, row
end

-- finished: some, then id number token of each · finished: state limit id number token
function reads.finished()
  local reply = { 'finished' }
  local function add(n, row)
    reply[#reply + 1] = n
    reply[#reply + 1] = row
  end
  local state = arg()
  if state == 'some' then
    while argi < #ARGV do
      local n, row = keptAs(arg(), arg(), arg())
      if n then add(n, row) end
    end
    return reply
  end
  local key = finished.by[state == 'done' and 1 or 2]
  local limit, id = num(), arg()
  local from = 0
  if id ~= '' then
    local n = keptAs(id, arg(), arg())
    local rank = n and redis.call('ZREVRANK', key, finished.name(n))
    if not rank then return reply end
    from = rank + 1
  end
  local members = redis.call('ZREVRANGE', key, from, from + limit - 1)
  local names = {}
  for i, member in ipairs(members) do names[i] = whole(tonumber(member)) end
  for i = 1, #names do
    local row = redis.call('HGET', finished.key, names[i])
    if row and select(2, finished.idIn(row)) > now then add(names[i], row) end
  end
  return reply
end

function reads.answer()
  local id = arg()
  local text = redis.call('HGET', ANSWERS, id)
  if text then
    local replyBy, code, length = struct.unpack('<dBB', text)
    if replyBy > now then
      return { 'ended', whole(code), string.sub(text, 11, 10 + length), string.sub(text, 11 + length) }
    end
  end
  local n, record = resolve(id, arg(), arg(), recordOf)
  local j = record and decode(n, record)
  if not j or j.request ~= REQUEST or j.dead == 1 or j.replyBy <= now then return { 'none' } end
  return { 'waiting', whole(j.replyBy) }
end

-- Names, records and bodies of schedules behind the reply.
local function addSchedules(reply, names)
  for _, name in ipairs(names) do
    local record = redis.call('HGET', tag .. 'schedules', name)
    if record then
      reply[#reply + 1], reply[#reply + 2] = name, record
      reply[#reply + 1] = redis.call('HGET', tag .. 'scheduleBodies', name) or ''
    end
  end
  return reply
end

function reads.schedulesNamed()
  local names = {}
  while argi < #ARGV do names[#names + 1] = arg() end
  return addSchedules({ 'schedules' }, names)
end

function reads.due()
  local key = tag .. 'scheduleTimes'
  local names = redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, num())
  return addSchedules({ 'due', timeText(firstScore(key)) }, names)
end

local function call(keys, args)
  local refused = begin(keys, args)
  if refused then return refused end
  return reads[arg()]()
end
