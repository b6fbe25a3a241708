-- Everything that changes a topic: one call does any number of operations in their order, each wholly or not at all.
-- Within an operation all checks come before the first write.
--
-- Arguments: now full maxIds run fresh born runs epochs, then the operations.
--   run: a test's own instead of the server's, which is new after each restart and each promotion.
--   born, runs, epochs: how many epochs the store has begun, for which servers, and the last of them, oldest first;
--   empty where the caller does not know.
-- Answer: why it stopped (`` or `birth` or `epochs`), the server's run, dead, when the earliest new thing falls due,
--   whether the topic is born, and an outcome for each operation that was done.

local CURSOR_MS = 2592000000
local NOTE_MS = 31536000000
local MAX_EPOCHS = 1000
local MAX_DROPPED_EPOCHS = 100
local NOTIFIED_BYTES = 65536

local CURSORS, OWNERS, NOTES, CHANNEL
local run, fresh, born, runs, epochs
local changed, newLineage, lineage, logs, pending, told, waiting
beginnings[#beginnings + 1] = function()
  CURSORS, OWNERS, NOTES, CHANNEL = tag .. 'cursors', tag .. 'owners', tag .. 'notes', string.sub(tag, 1, -2)
  run, fresh = arg(), arg()
  born, runs, epochs = tonumber(arg()), arg(), arg()
  -- A process and its time as a master: one that was replaced, and is master again, may have lost what it had told.
  if run == '' then
    local info = redis.call('INFO', 'server', 'replication')
    local process, history = string.match(info, 'run_id:(%x+)'), string.match(info, 'master_replid:(%x+)')
    run = string.sub(process, 1, 20) .. string.sub(history or '', 1, 20)
  end
  changed, newLineage, lineage, logs, pending, told, waiting = false, nil, nil, nil, nil, {}, nil
end

-- Lineage: a flat list, epoch and what it starts after, in turn.
local function lineageOf()
  if lineage then return lineage end
  lineage = {}
  if s.epoch then
    for part in string.gmatch(redis.call('HGET', KEYS[1], 'lineage') or '', '%S+') do lineage[#lineage + 1] = part end
  else
    for epoch in string.gmatch(epochs, '%S+') do
      lineage[#lineage + 1] = epoch
      lineage[#lineage + 1] = '0'
    end
    -- Those that a dropped log has had are its own.
    while #lineage > 2 * math.max(0, (born or 0) - s.dead) do
      table.remove(lineage, 1)
      table.remove(lineage, 1)
    end
  end
  return lineage
end

local function setLineage(list)
  while #list > 2 * MAX_EPOCHS do
    table.remove(list, 1)
    table.remove(list, 1)
  end
  lineage = list
  newLineage = table.concat(list, ' ')
end

local function lineageText()
  return newLineage or table.concat(lineageOf(), ' ')
end

local function headOf()
  return s.head or 0
end

local function presentEpoch()
  return s.epoch or string.match(epochs, '(%S+)$') or ''
end

-- What is known of an epoch: which log has it, its end there, its place in the lineage. Dropped logs are read when they
-- are asked for, oldest first; the present one is `#logs + 1`.
local function droppedLogs()
  if logs then return logs end
  logs = {}
  for line in string.gmatch(s.dropped, '[^\n]+') do
    local head, list = nil, {}
    for part in string.gmatch(line, '%S+') do
      if head then list[#list + 1] = part else head = tonumber(part) end
    end
    logs[#logs + 1] = { head = head, list = list }
  end
  return logs
end
local function endIn(list, head, epoch)
  for i = #list - 1, 1, -2 do
    if list[i] == epoch then return tonumber(list[i + 3] or head), i end
  end
  return nil
end
local function placeIn(epoch)
  -- Most often asked for, and known without the lineage.
  if epoch == s.epoch then return huge, headOf(), huge end
  local last, rank = endIn(lineageOf(), headOf(), epoch)
  if last then return huge, last, rank end
  local all = droppedLogs()
  for log = #all, 1, -1 do
    last, rank = endIn(all[log].list, all[log].head, epoch)
    if last then return log, last, rank end
  end
  return nil
end

-- Events are gathered behind the head, as the groups of records in which they came, until a block is full or somebody
-- looks at the log.
local function putPending()
  local block = pending
  if not block then return end
  pending = nil
  block.lengths, block.records = table.concat(block.lengths, ' '), table.concat(block.records)
  putBlock(
    LOG, string.format('%d-%d', block.first, block.at), string.format('%d', block.before), block.records, block.count,
    block.lengths)
  told[#told + 1] = block
end
local function addGroup(at, count, counted, lengths, records)
  if pending and (pending.count + count > MAX_BLOCK_EVENTS or pending.bytes + #records > MAX_BLOCK_BYTES) then
    putPending()
  end
  local block = pending
  if not block then
    block = { epoch = s.epoch, at = at, first = s.head + 1, before = s.total, count = 0, bytes = 0 }
    block.lengths, block.records = {}, {}
    pending = block
  end
  block.count, block.bytes = block.count + count, block.bytes + #records
  block.lengths[#block.lengths + 1] = lengths
  block.records[#block.records + 1] = records
  s.head, s.total = s.head + count, s.total + counted
end

-- Notifications: what was added is told before anything else.
local function tell(message)
  redis.call('SPUBLISH', CHANNEL, message)
end
local function tellAppended()
  putPending()
  local i = 1
  while i <= #told do
    local first = told[i]
    local last, size = first, 0
    local lengths, records = {}, {}
    while i <= #told do
      local block = told[i]
      local differs = block.epoch ~= first.epoch or block.at ~= first.at
      if differs or (size > 0 and size + block.bytes > NOTIFIED_BYTES) then break end
      last = block
      size = size + block.bytes
      lengths[#lengths + 1] = block.lengths
      records[#records + 1] = block.records
      i = i + 1
    end
    local carried = size <= NOTIFIED_BYTES
    tell(table.concat({
      'A', first.epoch, whole(last.first + last.count - 1), whole(first.first), whole(first.at),
      carried and table.concat(lengths, ' ') or '', carried and table.concat(records) or '',
    }, '\n'))
  end
  told = {}
end

-- Trimming waits for the end of a row of appends that ask for the same: the outcome is that of each in its turn.
-- What holds leave of a trim up to `first`: they give way while all kept bodies have more bytes than `holdBytes`.
local function heldFrom(first, holdBytes)
  local lowest
  for _, offset in ipairs(redis.call('HVALS', HOLDS)) do
    lowest = math.min(lowest or first, tonumber(offset))
  end
  if not lowest or lowest + 1 >= first then return first end
  local held = math.max(s.first, lowest + 1)
  if s.total - place(held) <= holdBytes then return held end
  return math.min(first, math.max(held, firstThat(function(before) return s.total - before <= holdBytes end)))
end
local function trim(events, bytes, age, holdBytes, keepLast)
  if not s.epoch or s.first > s.head then return end
  putPending()
  local first = math.max(s.first, s.head + 1 - events)
  if s.total - s.base > bytes then
    local fits = firstThat(function(before) return s.total - before <= bytes end)
    first = math.max(first, keepLast and math.min(fits, s.head) or fits)
  end
  local oldest = now - age
  if s.firstAt < oldest then first = math.max(first, firstThat(function(_, at) return at >= oldest end)) end
  if first > s.first then first = heldFrom(first, holdBytes) end
  if first == s.first then return end
  local block
  s.base, s.firstAt, block = place(first)
  s.first = first
  changed = true
  if first > s.head then
    redis.call('UNLINK', LOG)
  else
    -- Whole nodes of the stream, a bounded number: the rest goes with later calls and is not read, as events are not that a
    -- block has before the first one.
    redis.call('XTRIM', LOG, 'MINID', '~', whole(block), 'LIMIT', 10000)
  end
end
local function trimWaiting()
  if not waiting then return end
  local events, bytes, age, holdBytes = unpack(waiting)
  waiting = nil
  trim(events, bytes, age, holdBytes, true)
end

local function mayBeBorn()
  return born and born > s.dead and string.find(runs, run, 1, true)
end

-- The record of a topic that can be appended to.
local function beginLog()
  if not s.epoch then
    lineage = nil
    setLineage(lineageOf())
    s.epoch, s.born = presentEpoch(), born
    s.first, s.head, s.total, s.base, s.firstAt, s.lastAt = 1, 0, 0, 0, 0, 0
  elseif s.run ~= run then
    local list = lineageOf()
    list[#list + 1] = fresh
    list[#list + 1] = whole(s.head)
    setLineage(list)
    s.epoch = fresh
  end
  if not s.blocks then
    if LOG == OLD_LOG then redis.call('RENAME', OLD_LOG, BLOCKS) end
    redis.call('SET', OLD_LOG, 'in blocks, for newer versions')
    redis.call('HSET', KEYS[1], 'blocks', '1')
    LOG, s.blocks = BLOCKS, true
  end
  s.run = run
  changed = true
end

-- A log whose record was lost goes on under an epoch that begins before it: nobody's position fits what is left.
local function adopt()
  local earliest = blockOf(redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1])
  local latest = blockOf(redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1])
  local list = lineageOf()
  list[#list + 1] = fresh
  list[#list + 1] = '0'
  setLineage(list)
  s.epoch, s.run, s.born, s.stray = fresh, run, born, false
  s.first, s.head, s.base = earliest.first, latest.last, earliest.before
  s.total = bytesBefore(latest, latest.last + 1 - latest.first)
  s.firstAt, s.lastAt = earliest.at, latest.at
  changed = true
  tell('C')
end

local function knowsLineage()
  return s.epoch or (born and born > s.dead)
end
local function bounds(reply)
  reply[#reply + 1] = presentEpoch()
  reply[#reply + 1] = lineageText()
  reply[#reply + 1] = whole(s.first or 1)
  reply[#reply + 1] = whole(headOf())
  reply[#reply + 1] = s.dropped
  return reply
end
