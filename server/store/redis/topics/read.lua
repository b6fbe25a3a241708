-- Reads only: `read` after events bytes · `seek` time · `info`.
-- Answers a word first: `unborn` · `stray` · `born` and the rest.

local READ_AT_ONCE = 64

-- Whole blocks from the one that has the event at `from`, as many as have so many events and bytes from there on; of each its
-- id, its records, their lengths. The last of them may have more.
local function blocksFrom(from, most, bytes, reply)
  local before, _, following = place(from)
  -- Those that are trimmed wait for their node of the stream to be removed; none lie behind the head.
  local count, given = 1, 0
  while from <= s.head do
    local chunk = redis.call('XRANGE', LOG, whole(following), '+', 'COUNT', count)
    if #chunk == 0 then return end
    local events, size
    for i = 1, #chunk do
      local entry = chunk[i]
      local first, _, start, last = headerOf(entry)
      events, size = first - from, start - before
      if given > 0 and (events >= most or size >= bytes) then return end
      reply[#reply + 1] = entry[1]
      reply[#reply + 1] = entry[2][2]
      reply[#reply + 1] = entry[2][4] or ''
      given = given + 1
      following = last + 1
    end
    events = following - from
    if events >= most then return end
    -- As many as are wanted, where those to come are like those that came.
    local left = math.min((most - events) / events, size > 0 and (bytes - size) / size or huge) * given
    count = math.max(1, math.min(READ_AT_ONCE, count * 2, math.ceil(left)))
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
