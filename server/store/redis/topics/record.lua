-- What both scripts of a topic know: its record, its log, its lineage. All keys have the topic's tag.
--
-- <tag>meta     hash: epoch run first head total base firstAt lastAt born lineage, dead dropped; of an unborn topic at most
--               the last two
-- <tag>log      stream: id `<offset>-<at>`, one field: bytes of all bodies before, and the body's record
-- <tag>rewriting a copy of the log in the making, see rewrite.lua
-- <tag>holds    hash: the offset behind which nothing is trimmed, by the name of who wants it so
-- `born` is the number of the store's epochs at its birth; `dead` what it was before the last drop. `dropped`: a line for
-- each log that was dropped, oldest first: its head, then its lineage.

local LOG, HOLDS
local s

-- What retention counts of a body's record, see codec.ts: encryption adds nothing to it.
local SEALED, SEAL_BYTES = 3, 45
local function countedBytes(length, kind)
  return kind == SEALED and length - SEAL_BYTES or length
end

local function placeOf(entry)
  local offset, at = string.match(entry[1], '^(%d+)%-(%d+)$')
  return tonumber(offset), tonumber(at), tonumber(entry[2][1])
end

-- `s.stray`: a log is there and its record is not. A log that is gone leaves nothing kept.
beginnings[#beginnings + 1] = function()
  LOG, HOLDS = tag .. 'log', tag .. 'holds'
  s = {}
  local m = redis.call(
    'HMGET', KEYS[1], 'epoch', 'run', 'first', 'head', 'total', 'base', 'firstAt', 'lastAt', 'born', 'dead', 'dropped')
  s.dead, s.dropped = tonumber(m[10] or 0), m[11] or ''
  local length = redis.call('XLEN', LOG)
  if not m[1] then
    s.stray = length > 0
    return
  end
  s.epoch, s.run = m[1], m[2]
  s.first, s.head = tonumber(m[3]), tonumber(m[4])
  s.total, s.base = tonumber(m[5]), tonumber(m[6])
  s.firstAt, s.lastAt = tonumber(m[7]), tonumber(m[8])
  s.born = tonumber(m[9])
  if length == 0 and s.first <= s.head then
    s.first, s.base = s.head + 1, s.total
  end
end

-- Of the event at an offset or, where that is missing, the next one: bytes before it and its time.
local function place(offset)
  if offset <= s.head then
    local entry = redis.call('XRANGE', LOG, whole(offset), '+', 'COUNT', 1)[1]
    if entry then
      local _, at, before = placeOf(entry)
      return before, at
    end
  end
  return s.total, s.lastAt
end

-- The first of the kept offsets that passes, and with it all behind it; `head + 1` where none does.
local function firstThat(passes)
  local fails, step, candidate = s.first - 1, 1, s.first
  while candidate <= s.head and not passes(place(candidate)) do
    fails = candidate
    candidate = s.first + step
    step = step * 2
  end
  local passing = math.min(candidate, s.head + 1)
  while passing - fails > 1 do
    local middle = fails + math.floor((passing - fails) / 2)
    if passes(place(middle)) then
      passing = middle
    else
      fails = middle
    end
  end
  return passing
end
