-- Reads only: `read` after events bytes · `seek` time · `info`.
-- Answers a word first: `unborn` · `stray` · `born` and the rest.

local FIRST_AT_ONCE, READ_AT_ONCE = 16, 64

-- Whole blocks from the one that has the event at `from`, as many as have so many events and bytes from there on; of each its
-- id, its records, their lengths. The last of them may have more, as may the first one, where `from` is in its midst.
local function blocksFrom(from, most, bytes, reply)
  local block = from <= s.head and find(from)
  if not block then return end
  local before = from <= block.first and block.before or nil
  local events, size, given = block.last + 1 - math.max(from, block.first), 0, 1
  local function give(entry)
    reply[#reply + 1] = entry[1]
    reply[#reply + 1] = entry[2][2]
    reply[#reply + 1] = entry[2][4] or ''
  end
  give(block.entry)
  local following = block.last + 1
  local left = math.min((most - events) / (following - block.first), bytes / #block.entry[2][2])
  local atOnce = FIRST_AT_ONCE
  while events < most and following <= s.head do
    -- As many as are wanted, where those to come are like those that came.
    local count = math.max(1, math.min(atOnce, math.ceil(left)))
    local chunk = redis.call('XRANGE', LOG, whole(following), '+', 'COUNT', count)
    if #chunk == 0 then return end
    for i = 1, #chunk do
      local fields = chunk[i][2]
      local start = tonumber(fields[1])
      before = before or start
      size = start - before
      if events >= most or size >= bytes then return end
      give(chunk[i])
      given = given + 1
      events = events + (fields[3] and tonumber(fields[3]) or 1)
    end
    following = blockOf(chunk[#chunk]).last + 1
    left = math.min((most - events) / events, size > 0 and (bytes - size) / size or huge) * given
    atOnce = READ_AT_ONCE
  end
end

local function call(keys, args)
  local refused = begin(keys, args)
  if refused then return refused end
  if s.stray then return { 'stray' } end
  if not s.epoch then return { 'unborn' } end

  local kind = arg()
  if kind == 'seek' then
    local time = num()
    return { 'born', whole(firstThat(function(_, at) return at >= time end) - 1) }
  end

  local reply = {
    'born', s.epoch, redis.call('HGET', KEYS[1], 'lineage') or '', whole(s.first), whole(s.head), s.dropped,
    whole(s.total - s.base),
  }
  if kind == 'info' then
    for _, value in ipairs(redis.call('HGETALL', HOLDS)) do reply[#reply + 1] = value end
    return reply
  end

  local after, most, bytes = num(), num(), num()
  blocksFrom(math.max(after + 1, s.first), most, bytes, reply)
  return reply
end
