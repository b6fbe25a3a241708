-- The operations that need nothing more, and the end of every call: what is done in which order, what is kept of it.

function operations.trim()
  local events, bytes, age, holdBytes = num(), num(), num(), num()
  if not knowsLineage() then return 'epochs' end
  trimWaiting()
  trim(events, bytes, age, holdBytes, false)
  return bounds({ 'done' })
end

-- know: epochs that the store began while the topic was being born. Who saw it unborn then has a place in one of them.
function operations.know()
  if not s.epoch or not born then return { 'none' } end
  local list, known, longer = lineageOf(), {}, {}
  for i = 1, #list, 2 do known[list[i]] = true end
  local own = {}
  for epoch in string.gmatch(epochs, '%S+') do own[#own + 1] = epoch end
  for i = math.max(1, #own - (born - s.dead) + 1), #own do
    local epoch = own[i]
    if not known[epoch] then
      longer[#longer + 1] = epoch
      longer[#longer + 1] = '0'
    end
  end
  if #longer > 0 then
    for _, part in ipairs(list) do longer[#longer + 1] = part end
    setLineage(longer)
    s.born = math.max(s.born, born)
    changed = true
  end
  return { 'done' }
end

-- hold: name offset; without an offset it ends
function operations.hold()
  local name, offset = arg(), arg()
  trimWaiting()
  if offset == '' then
    redis.call('HDEL', HOLDS, name)
  else
    redis.call('HSET', HOLDS, name, offset)
  end
  return { 'done' }
end

-- repair: what loading did is all
function operations.repair()
  return { 'done' }
end

-- The lines of the dropped logs and this one, with the last epochs of all of them.
local function withDropped()
  local all = { { head = s.head, list = lineageOf() } }
  for i = #droppedLogs(), 1, -1 do all[#all + 1] = logs[i] end
  local room, lines = MAX_DROPPED_EPOCHS, {}
  for _, log in ipairs(all) do
    if room == 0 then break end
    local kept = math.min(room, #log.list / 2)
    table.insert(lines, 1, whole(log.head) .. ' ' .. table.concat(log.list, ' ', #log.list - 2 * kept + 1))
    room = room - kept
  end
  return table.concat(lines, '\n')
end
function operations.drop()
  if not s.epoch then return { 'none' } end
  waiting = nil
  tellAppended()
  for _, subject in ipairs(redis.call('HKEYS', SUBJECTS)) do
    redis.call('UNLINK', tag .. 'ids:' .. subject, tag .. 'idlog:' .. subject)
    redis.call('ZREM', DUE, 'i' .. subject)
  end
  for key, p in pairs(producers) do
    if p.listed then redis.call('UNLINK', tag .. 'produced:' .. key) end
    redis.call('ZREM', DUE, 'p' .. key)
  end
  for _, key in ipairs(redis.call('HKEYS', PRODUCERS)) do
    redis.call('UNLINK', tag .. 'produced:' .. key)
    redis.call('ZREM', DUE, 'p' .. key)
  end
  local dropped = withDropped()
  redis.call('UNLINK', LOG, KEYS[1], SUBJECTS, PRODUCERS, HOLDS)
  redis.call('HSET', KEYS[1], 'dead', whole(s.born), 'dropped', dropped)
  tell('C')
  s = { dead = s.born, dropped = dropped }
  producers, lineage, newLineage, logs, changed = {}, nil, nil, nil, false
  return { 'dropped' }
end

-- sweep: a bounded part of what has fallen due
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
    local text = redis.call('HGET', hash, id)
    local _, at, number = string.match(text or '', '^(%d+) (%d+) (%d+)$')
    local due = tonumber(number) == floor and tonumber(at) + ID_MS or 0
    if due > now or swept.ids >= SWEPT_IDS then
      redis.call('HSET', SUBJECTS, subject, whole(floor))
      if due <= now then swept.more = true end
      return math.max(due, 1)
    end
    forgetId(subject, floor)
    floor = floor + 1
    swept.ids = swept.ids + 1
  end
end
function sweeps.p(key, swept)
  local text = redis.call('HGET', PRODUCERS, key)
  local usedAt = text and tonumber(string.match(text, '^%d+ %d+ (%d+)'))
  if not usedAt then return nil end
  if usedAt + PRODUCER_MS > now then return usedAt + PRODUCER_MS end
  redis.call('HDEL', PRODUCERS, key)
  redis.call('UNLINK', tag .. 'produced:' .. key)
  swept.producers = swept.producers + 1
  return nil
end
function sweeps.c(key, swept)
  local cursor = storedCursor(key)
  if not cursor then return nil end
  if not isOver(cursor) then return cursor.usedAt + CURSOR_MS end
  redis.call('HDEL', CURSORS, key)
  redis.call('ZREM', OWNERS, key)
  local over = cursor.usedAt + CURSOR_MS + NOTE_MS
  redis.call('HSET', NOTES, key, whole(over))
  redis.call('ZADD', DUE, whole(over), 'n' .. key)
  swept.cursors = swept.cursors + 1
  return nil
end
function sweeps.n(key)
  local over = tonumber(redis.call('HGET', NOTES, key) or 0)
  if over > now then return over end
  redis.call('HDEL', NOTES, key)
  return nil
end
function operations.sweep()
  local swept = { ids = 0, producers = 0, cursors = 0, more = false }
  local members = redis.call('ZRANGEBYSCORE', DUE, '-inf', whole(now), 'LIMIT', 0, SWEPT)
  for _, member in ipairs(members) do
    local again = sweeps[string.sub(member, 1, 1)](string.sub(member, 2), swept)
    if again then
      redis.call('ZADD', DUE, whole(again), member)
    else
      redis.call('ZREM', DUE, member)
    end
  end
  local first = redis.call('ZRANGE', DUE, 0, 0, 'WITHSCORES')
  local more = swept.more or (#members == SWEPT and first[2] and tonumber(first[2]) <= now)
  return { 'done', whole(swept.ids), whole(swept.producers), whole(swept.cursors), more and '1' or '0', first[2] or '' }
end

local stopped = ''
local outcomes = {}
if s.stray then
  if full then
    stopped = 'full'
  elseif born and born > s.dead then
    adopt()
  else
    stopped = 'epochs'
  end
end
while stopped == '' and argi < #ARGV do
  local outcome = operations[arg()]()
  if type(outcome) == 'string' then
    stopped = outcome
  else
    outcomes[#outcomes + 1] = outcome
  end
end
trimWaiting()
for key, p in pairs(producers) do
  if p.changed then
    local numbers = { p.start, p.next, p.usedAt, p.seq, p.offset, p.count }
    for i = 1, 6 do numbers[i] = whole(numbers[i]) end
    redis.call('HSET', PRODUCERS, key, table.concat(numbers, ' '))
  end
end
if changed then
  redis.call(
    'HSET', KEYS[1], 'epoch', s.epoch, 'run', s.run, 'first', whole(s.first), 'head', whole(s.head),
    'total', whole(s.total), 'base', whole(s.base), 'firstAt', whole(s.firstAt), 'lastAt', whole(s.lastAt),
    'born', whole(s.born))
  if newLineage then redis.call('HSET', KEYS[1], 'lineage', newLineage) end
end
tellAppended()
return { stopped, run, whole(s.dead), nextDue and whole(nextDue) or '', s.epoch and '1' or '0', outcomes }
