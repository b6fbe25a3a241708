-- What happened to jobs, from the call in which it happened until it is moved to the topic of the queue's life: the records of
-- life.ts, packed, in a list. `lifeFirst` of the figures counts those that were moved, `lifeNext` all, and numbers of a row
-- begin behind `lifeBase`.

local MAX_LIFE, MAX_LIFE_BYTES, LIFE_MS, BYTES = 100000, 33554432, 2000, 1048576
local MUCH_LIFE, MUCH_LIFE_BYTES = 1000, 1048576
local told
life.MS = LIFE_MS
beginnings[#beginnings + 1] = function()
  told, life.toldBytes = {}, 0
end

-- `more` has what a record has besides.
function life.tell(kind, id, more, body)
  if s.events ~= 1 then return end
  -- What comes later says all that it does.
  if kind == 'progress' and (s.lifeNext - s.lifeFirst + #told >= MUCH_LIFE or s.lifeBytes + life.toldBytes >= MUCH_LIFE_BYTES) then
    return
  end
  more = more or {}
  more.kind, more.id = kind, id
  life.add(cjson.encode(more), body or '')
end
function life.add(text, body)
  local packed = struct.pack('<I4c0I4c0', #text, text, #body, body)
  told[#told + 1] = packed
  life.toldBytes = life.toldBytes + #packed
end

-- Something for another queue: `errand` stands first, which tells it from what is moved to the topic. `parent` is its JSON.
local ERRAND = '{"errand":'
function life.leave(what, parent, more, body)
  life.add(ERRAND .. '"' .. what .. '","parent":' .. parent .. ',' .. more .. '}', body)
end
local function isErrand(record)
  return string.sub(record, 5, 4 + #ERRAND) == ERRAND
end

-- The steps in which a job has failed, its last attempt included.
function life.failed(j, why, isLast)
  life.tell('failed', idOf(j), { attempt = j.attempts, error = why ~= '' and why or nil })
  if not isLast then life.tell('retrying', idOf(j), { attempt = j.attempts, dueAt = j.dueAt }) end
end

function life.retrying(p, j)
  if not p.dead then life.tell('retrying', idOf(j), { dueAt = j.dueAt }) end
end

function life.waiting()
  return s.lifeNext - s.lifeFirst + #told
end

-- How many more there is room for, with those of this call; any number in a queue without a life.
function life.room()
  return s.events == 1 and life.left() or huge
end
-- The same, whether it has a life or not.
function life.left()
  if s.lifeBytes + life.toldBytes >= MAX_LIFE_BYTES then return 0 end
  return math.max(0, MAX_LIFE - life.waiting())
end
function life.refused()
  return { 'error', 'life', whole(life.waiting()), whole(s.lifeBytes + life.toldBytes) }
end

-- Last of all that a call writes but the figures.
function life.write()
  if #told == 0 then return end
  many('RPUSH', tag .. 'life', told)
  if s.lifeFirst == s.lifeNext then
    s.lifeAt = now + LIFE_MS
    due(s.lifeAt)
  end
  s.lifeNext = s.lifeNext + #told
  s.lifeBytes = s.lifeBytes + life.toldBytes
  losses.Fm = #told
end

-- Tells again of what waits for too long.
function life.fire()
  if s.lifeAt == 0 or s.lifeAt > now then return end
  local waiting = s.lifeNext - s.lifeFirst
  s.lifeAt = waiting > 0 and now + LIFE_MS or 0
  if waiting > 0 then losses.Fm = waiting end
end

-- life: generation moved carried isUnknown limit token; `carried` is 0 where errands are not meant, the last one names a row
-- that begins. What is next is either to be moved or to be carried, by the last of the answers.
function operations.life()
  local generation, moved, carried, isUnknown, limit, token = arg(), num(), num(), arg(), num(), arg()
  if s.lifeNext == 0 then return { 'none' } end
  local key, rowKey = tag .. 'life', tag .. 'lifeRow'
  local wasFull = life.room() == 0
  local row = redis.call('GET', rowKey)
  if not row then
    row = token
    redis.call('SET', rowKey, row)
  end
  -- What a call has left behind the last number that failed half-way.
  local waiting = s.lifeNext - s.lifeFirst
  local length = redis.call('LLEN', key)
  if length > waiting then redis.call('LTRIM', key, 0, waiting - 1) end
  -- What somebody has taken away was the first.
  if length < waiting then s.lifeFirst = s.lifeNext - length end
  if generation == row then
    local over = math.min(s.lifeNext, carried > 0 and carried or s.lifeBase + moved) - s.lifeFirst
    if over > 0 then
      for _, record in ipairs(redis.call('LRANGE', key, 0, over - 1)) do s.lifeBytes = s.lifeBytes - #record end
      redis.call('LTRIM', key, over, -1)
      s.lifeFirst = s.lifeFirst + over
      -- Errands have no numbers in the topic.
      if carried > 0 then s.lifeBase = s.lifeBase + over end
    end
    if isUnknown == '1' then
      row, s.lifeBase = token, s.lifeFirst
      redis.call('SET', rowKey, row)
    end
  end
  if s.lifeFirst == s.lifeNext or s.lifeBytes < 0 then s.lifeBytes = 0 end
  if wasFull and life.room() > 0 then
    tell('C')
    due(now)
  end
  s.lifeAt = s.lifeFirst < s.lifeNext and now + LIFE_MS or 0
  if s.lifeAt > 0 then due(s.lifeAt) end
  local records, bytes = {}, 0
  -- Each part is twice the last one: how large the first ones are says how large the next will be.
  local count = 1
  local areErrands
  while #records < limit and bytes < BYTES do
    local part = redis.call('LRANGE', key, #records, #records + count - 1)
    if #part == 0 then break end
    count = math.min(2 * count, 100)
    for _, record in ipairs(part) do
      if #records == 0 then areErrands = isErrand(record) end
      if isErrand(record) ~= areErrands then limit = #records end
      if #records < limit and bytes < BYTES then
        records[#records + 1] = record
        bytes = bytes + #record
      end
    end
  end
  local errands = { '', '0' }
  if areErrands then
    local nameKey = tag .. 'lifeName'
    redis.call('SET', nameKey, token, 'NX')
    errands = { redis.call('GET', nameKey), whole(s.lifeFirst + 1) }
  end
  return { 'done', row, whole(s.lifeFirst - s.lifeBase + 1), table.concat(records), unpack(errands) }
end
