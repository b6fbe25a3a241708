-- What is remembered of senders, so that what they send again counts once: ids and the numbers of producers. And how
-- that is forgotten, with what else is over its time.
--
-- <tag>ids:<subject>    hash: what an id was given, see `idText` · `idlog:<subject>` a list of the ids in their order
-- <tag>subjects         hash: the number of the first id in its list, by subject
-- <tag>producers        hash: `start next usedAt`, and more of a topic's · `produced:<producer>` a list of what they got
-- <tag>due              what a sweep forgets, by time

local ID_MS = 300000
local PRODUCER_MS = 604800000
local KEPT_DRAFTS = 1024
local SWEPT = 200
-- Of all subjects together: nobody else is served meanwhile.
local SWEPT_IDS = 500

-- `1` when there is no room, so that only what needs none is done.
local full
local maxIds
local DUE, PRODUCERS, SUBJECTS
-- When the first of what this call wrote is to be forgotten.
local nextSweep
beginnings[#beginnings + 1] = function()
  full, maxIds = arg() == '1', num()
  DUE, PRODUCERS, SUBJECTS = tag .. 'due', tag .. 'producers', tag .. 'subjects'
  nextSweep = nil
end

local function forgetAt(at, member)
  redis.call('ZADD', DUE, whole(at), member)
  if not nextSweep or at < nextSweep then nextSweep = at end
end

-- What is kept of an id: its number in the list, until when it counts, what was given. Topics and queues write it in
-- their own ways; of what cannot be read there is no number.
local idText, idParts

local function idGiven(hash, id)
  local text = redis.call('HGET', hash, id)
  if not text then return nil end
  local number, over, given = idParts(text)
  return number and now < over and given or nil
end
local function forgetId(subject, floor)
  local id = redis.call('LPOP', tag .. 'idlog:' .. subject)
  if not id then return end
  local hash = tag .. 'ids:' .. subject
  -- Given again after its time, the id has a later number and stays.
  local number, over = idParts(redis.call('HGET', hash, id) or '')
  if number ~= floor then return nil end
  redis.call('HDEL', hash, id)
  return over
end
-- `ids`: each with until when it counts, and what was given. Answers how many others were forgotten before their time.
local function remember(subject, ids)
  local list = tag .. 'idlog:' .. subject
  local floor = tonumber(redis.call('HGET', SUBJECTS, subject) or 0)
  local length = redis.call('LLEN', list)
  if length == 0 then forgetAt(now + ID_MS, 'i' .. subject) end
  local values, order = {}, {}
  for _, entry in ipairs(ids) do
    values[#values + 1] = entry[1]
    values[#values + 1] = idText(floor + length, entry[2], entry[3])
    order[#order + 1] = entry[1]
    length = length + 1
  end
  many('HSET', tag .. 'ids:' .. subject, values)
  many('RPUSH', list, order)
  local early = 0
  while length > maxIds do
    local over = forgetId(subject, floor)
    if over and over > now then early = early + 1 end
    floor, length = floor + 1, length - 1
  end
  redis.call('HSET', SUBJECTS, subject, whole(floor))
  return early
end

-- Without `next` where it is new, or over its time. `rest`: what a script has behind.
local function producerOf(key)
  local text = redis.call('HGET', PRODUCERS, key)
  local p = { stored = text ~= false }
  local start, following, usedAt, rest = string.match(text or '', '^(%d+) (%d+) (%d+)(.*)$')
  if usedAt and now - tonumber(usedAt) < PRODUCER_MS then
    p.start, p.next, p.rest = tonumber(start), tonumber(following), rest
  end
  return p
end
-- Of `count` drafts numbered from `seq` on: what was given to those that were taken before, or why they are refused.
-- `givenFor`: what the script has of numbers that are kept, from one to another, or nothing.
local function repeatedOf(key, p, seq, count, givenFor)
  if p.next and seq > p.next then return nil, { 'error', 'skipped', whole(p.next) } end
  if not p.next and seq > 1 then return nil, { 'error', 'unknown' } end
  local last = math.min(p.next or seq, seq + count) - 1
  if last < seq then return {} end
  if seq < p.start then return nil, { 'error', 'before', whole(p.start) } end
  local given = seq >= p.next - KEPT_DRAFTS and givenFor(key, p, seq, last)
  if not given then return nil, { 'error', 'forgotten', whole(seq) } end
  return given
end
-- Before the first numbers of one that is new are taken.
local function beginNumbers(key, p, seq)
  if p.next then return end
  if p.stored then
    redis.call('UNLINK', tag .. 'produced:' .. key)
  else
    forgetAt(now + PRODUCER_MS, 'p' .. key)
    p.stored = true
  end
  p.start, p.next = seq, seq
end
-- Takes what need not be kept of a list; `counted` finds the first number of an entry, and how many it is for.
local function trimNumbers(list, following, counted)
  while true do
    local text = redis.call('LINDEX', list, 0)
    if not text then break end
    local first, count = string.match(text, counted)
    if tonumber(first) + tonumber(count) > following - KEPT_DRAFTS then break end
    redis.call('LPOP', list)
  end
end

-- What a sweep does with what has fallen due, by the letter in front: each answers when it falls due again.
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
    local number, over = idParts(redis.call('HGET', hash, id) or '')
    local at = number == floor and over or 0
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
  local usedAt = tonumber(string.match(text or '', '^%d+ %d+ (%d+)'))
  if not usedAt then return nil end
  if usedAt + PRODUCER_MS > now then return usedAt + PRODUCER_MS end
  redis.call('HDEL', PRODUCERS, key)
  redis.call('UNLINK', tag .. 'produced:' .. key)
  swept.producers = swept.producers + 1
  return nil
end

-- sweep: a bounded part of what has fallen due
function operations.sweep()
  local swept = { ids = 0, producers = 0, cursors = 0, more = false }
  local found = redis.call('ZRANGEBYSCORE', DUE, '-inf', whole(now), 'LIMIT', 0, SWEPT)
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
  return {
    'done', whole(swept.ids), whole(swept.producers), whole(swept.cursors), more and '1' or '0', timeText(first),
  }
end
