-- What both scripts of a topic know: its record, its log, its lineage. All keys have the topic's tag.
--
-- <tag>meta     hash: epoch run first head total base firstAt lastAt born lineage, dead dropped; of an unborn topic at most
--               the last two
-- <tag>log      stream: id `<offset>-<at>`, one field: bytes of all bodies before, and the body's record
-- <tag>holds    hash: the offset behind which nothing is trimmed, by the name of who wants it so
-- `born` is the number of the store's epochs at its birth; `dead` what it was before the last drop. `dropped`: a line for
-- each log that was dropped, oldest first: its head, then its lineage.

local tag = string.sub(KEYS[1], 1, -5)
local LOG = tag .. 'log'
local HOLDS = tag .. 'holds'

local argi = 0
local function arg()
  argi = argi + 1
  return ARGV[argi]
end
local function num()
  return tonumber(arg())
end

local function whole(number)
  return string.format('%.0f', number)
end

local function microseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

-- A test's own time, or the server's.
local given = arg()
local now = given ~= '' and tonumber(given) or math.floor(microseconds() / 1000)

local function placeOf(entry)
  local offset, at = string.match(entry[1], '^(%d+)%-(%d+)$')
  return tonumber(offset), tonumber(at), tonumber(entry[2][1])
end

-- While its slot moves to another server, some of the topic's keys are here and some are there, and neither place can
-- tell a key that is elsewhere from one that never was. Two that never are give it away.
local here = redis.pcall('EXISTS', tag .. '?', tag .. '??')
if type(here) == 'table' and here.err then
  if not string.find(here.err, 'non local key', 1, true) then return here end
  return redis.error_reply('TRYAGAIN the keys of this topic are being moved to another server')
end

local s = { dead = 0, dropped = '' }

-- `s.stray`: a log is there and its record is not. A log that is gone leaves nothing kept.
local function load()
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
    s.first, s.base, s.lost = s.head + 1, s.total, true
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
