-- The operations that need nothing more, and the end of every call: what is done in which order, what is kept of it.

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
  for key in pairs(producers) do redis.call('ZREM', DUE, 'p' .. key) end
  for _, key in ipairs(redis.call('HKEYS', PRODUCERS)) do
    redis.call('UNLINK', tag .. 'produced:' .. key)
    redis.call('ZREM', DUE, 'p' .. key)
  end
  local dropped = withDropped()
  redis.call('UNLINK', BLOCKS, OLD_LOG, KEYS[1], SUBJECTS, PRODUCERS, HOLDS, tag .. 'rewriting')
  redis.call('HSET', KEYS[1], 'dead', whole(s.born), 'dropped', dropped)
  tell('C')
  s = { dead = s.born, dropped = dropped }
  producers, lineage, newLineage, logs, changed, found, LOG = {}, nil, nil, nil, false, nil, BLOCKS
  return { 'dropped' }
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
local function call(keys, args)
  local refused = begin(keys, args)
  if refused then return refused end
  local stopped, outcomes = '', {}
  if s.stray then
    if full then
      stopped = 'full'
    elseif born and born > s.dead then
      adopt()
    else
      stopped = 'epochs'
    end
  end
  if stopped == '' then stopped, outcomes = operate() end
  trimWaiting()
  putPending()
  for key, p in pairs(producers) do
    if p.changed then
      local numbers = { p.start, p.next, p.usedAt, p.seq, p.offset, p.count }
      for i = 1, 6 do numbers[i] = whole(numbers[i]) end
      redis.call('HSET', PRODUCERS, key, table.concat(numbers, ' '))
      if p.unlisted then
        local list = tag .. 'produced:' .. key
        many('RPUSH', list, p.unlisted)
        trimNumbers(list, p.next, '^(%d+) %d+ (%d+)$')
      end
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
  return { stopped, run, whole(s.dead), nextSweep and whole(nextSweep) or '', s.epoch and '1' or '0', outcomes }
end
