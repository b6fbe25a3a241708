-- What happened to jobs, from the call in which it happened until it is moved to the topic of the queue's life: the records of
-- life.ts, packed, in a list. `lifeFirst` of the figures counts those that were moved, `lifeNext` all, and numbers of a row
-- begin behind `lifeBase`.

local MAX_LIFE, LIFE_MS, BYTES = 100000, 2000, 1048576
local told
beginnings[#beginnings + 1] = function()
  told = {}
end

-- `more` has what a record has besides.
function life.tell(kind, id, more, body)
  if s.events ~= 1 then return end
  more = more or {}
  more.kind, more.id = kind, id
  local text = cjson.encode(more)
  body = body or ''
  told[#told + 1] = struct.pack('<I4c0I4c0', #text, text, #body, body)
end

-- The steps in which a job has failed, its last attempt included.
function life.failed(j, why, isLast)
  life.tell('failed', idOf(j), { attempt = j.attempts, error = why ~= '' and why or nil })
  if not isLast then life.tell('retrying', idOf(j), { attempt = j.attempts, dueAt = j.dueAt }) end
end

function life.retrying(p, j)
  if not p.dead then life.tell('retrying', idOf(j), { dueAt = j.dueAt }) end
end

function life.isFull()
  return s.lifeNext - s.lifeFirst >= MAX_LIFE
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
  losses.Fm = #told
end

-- Tells again of what waits for too long.
function life.fire()
  if s.lifeAt == 0 or s.lifeAt > now then return end
  local waiting = s.lifeNext - s.lifeFirst
  s.lifeAt = waiting > 0 and now + LIFE_MS or 0
  if waiting > 0 then losses.Fm = waiting end
end

-- life: generation moved isUnknown limit token; the last one names a row that begins
function operations.life()
  local generation, moved, isUnknown, limit, token = arg(), num(), arg(), num(), arg()
  if s.lifeNext == 0 then return { 'none' } end
  local key, rowKey = tag .. 'life', tag .. 'lifeRow'
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
    local over = math.min(s.lifeNext, s.lifeBase + moved) - s.lifeFirst
    if over > 0 then
      redis.call('LTRIM', key, over, -1)
      s.lifeFirst = s.lifeFirst + over
    end
    if isUnknown == '1' then
      row, s.lifeBase = token, s.lifeFirst
      redis.call('SET', rowKey, row)
    end
  end
  s.lifeAt = s.lifeFirst < s.lifeNext and now + LIFE_MS or 0
  if s.lifeAt > 0 then due(s.lifeAt) end
  local records, bytes = {}, 0
  while #records < limit and bytes < BYTES do
    local part = redis.call('LRANGE', key, #records, #records + 99)
    if #part == 0 then break end
    for _, record in ipairs(part) do
      if #records < limit and bytes < BYTES then
        records[#records + 1] = record
        bytes = bytes + #record
      end
    end
  end
  return { 'done', row, whole(s.lifeFirst - s.lifeBase + 1), table.concat(records) }
end
