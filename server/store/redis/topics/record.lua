-- What both scripts of a topic know: its record, its log, its lineage. All keys have the topic's tag.
--
-- <tag>meta     hash: epoch run first head total base firstAt lastAt born blocks lineage, dead dropped; of an unborn topic
--               at most the last two
-- <tag>blocks   stream: the log, see blocks.lua
-- <tag>log      where an older version keeps the log, every event a block of its own. From the first event on that is added
--               now (`blocks` is 1) a text that older versions cannot read: they would take blocks for damage
-- <tag>rewriting a copy of the log in the making, see rewrite.lua
-- <tag>holds    hash: the offset behind which nothing is trimmed, by the name of who wants it so
-- `born` is the number of the store's epochs at its birth; `dead` what it was before the last drop. `dropped`: a line for
-- each log that was dropped, oldest first: its head, then its lineage.

local BLOCKS, OLD_LOG, LOG, HOLDS
local s
-- The block that was looked at last.
local found

-- `s.stray`: a log is there and its record is not. A log that is gone leaves nothing kept.
beginnings[#beginnings + 1] = function()
  BLOCKS, OLD_LOG, HOLDS = tag .. 'blocks', tag .. 'log', tag .. 'holds'
  LOG, found = BLOCKS, nil
  s = {}
  local m = redis.call(
    'HMGET', KEYS[1], 'epoch', 'run', 'first', 'head', 'total', 'base', 'firstAt', 'lastAt', 'born', 'dead', 'dropped',
    'blocks')
  s.dead, s.dropped, s.blocks = tonumber(m[10] or 0), m[11] or '', m[12] == '1'
  local length = redis.call('XLEN', LOG)
  if length == 0 and not s.blocks and redis.call('TYPE', OLD_LOG).ok == 'stream' then
    LOG = OLD_LOG
    length = redis.call('XLEN', LOG)
  end
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

-- The block in which an event is or, where that is missing, the next one.
local function find(offset)
  if found and found.first <= offset and offset <= found.last then return found end
  local entry = redis.call('XREVRANGE', LOG, whole(offset), '-', 'COUNT', 1)[1]
  local block = entry and blockOf(entry)
  if not block or block.last < offset then
    entry = redis.call('XRANGE', LOG, whole(offset), '+', 'COUNT', 1)[1]
    if not entry then return nil end
    block = blockOf(entry)
  end
  found = block
  return found
end

-- Of the event at an offset or, where that is missing, the next one: bytes before it, its time, where its block begins.
local function place(offset)
  local block = offset <= s.head and find(offset)
  if not block then return s.total, s.lastAt, s.head + 1 end
  return bytesBefore(block, math.max(0, offset - block.first)), block.at, block.first
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
