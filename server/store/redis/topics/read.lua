-- Reads only: `read` after events bytes · `seek` time · `info`.
-- Answers a word first: `unborn` · `stray` · `born` and the rest.

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
  local from = math.max(after + 1, s.first)
  local events, size = 0, 0
  -- Entries before the first kept offset wait for their node of the stream to be removed; none lie behind the head.
  while from <= s.head and events < most do
    local chunk = redis.call('XRANGE', LOG, whole(from), '+', 'COUNT', math.min(64, most - events))
    if #chunk == 0 then break end
    for i = 1, #chunk do
      local entry = chunk[i]
      size = size + countedBytes(#entry[2][2], string.byte(entry[2][2]))
      if events > 0 and size > bytes then return reply end
      reply[#reply + 1] = entry[1]
      reply[#reply + 1] = entry[2][2]
      events = events + 1
    end
    from = placeOf(chunk[#chunk]) + 1
  end
  return reply
end
