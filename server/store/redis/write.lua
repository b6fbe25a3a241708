-- Everything that changes a topic: one call does any number of operations in their order, each wholly or not at all.
-- Within an operation all checks come before the first write.
--
-- Arguments: run full maxIds fresh born runs epochs, then the operations.
--   run: a test's own instead of the server's. full: `1` when there is no room, so that only what needs none is done.
--   born, runs, epochs: how many epochs the store has begun, for which servers, and the last of them, oldest first;
--   empty where the caller does not know.
-- Answer: why it stopped (`` or `birth` or `epochs`), the server's run, dead, when the earliest new thing falls due,
--   whether the topic is born, and an outcome for each operation that was done.

local ID_MS = 300000
local PRODUCER_MS = 604800000
local CURSOR_MS = 2592000000
local NOTE_MS = 31536000000
local KEPT_DRAFTS = 1024
local MAX_EPOCHS = 1000
local NOTIFIED_BYTES = 65536
local SWEPT = 200

local run = arg()
if run == '' then run = string.match(redis.call('INFO', 'server'), 'run_id:(%x+)') end
local full = arg() == '1'
local maxIds = num()
local fresh = arg()
local born = tonumber(arg())
local runs, epochs = arg(), arg()

load()

local DUE = tag .. 'due'
local PRODUCERS = tag .. 'producers'
local CURSORS = tag .. 'cursors'
local OWNERS = tag .. 'owners'
local NOTES = tag .. 'notes'
local SUBJECTS = tag .. 'subjects'
local CHANNEL = string.sub(tag, 1, -2)

local changed = false
local newLineage = nil
local nextDue = nil

local function fallDue(at, member)
  redis.call('ZADD', DUE, whole(at), member)
  if not nextDue or at < nextDue then nextDue = at end
end

-- Lineage: a flat list, epoch and what it starts after, in turn.
local lineage = nil
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

local function endOf(epoch)
  if epoch == s.epoch then return headOf() end
  local list = lineageOf()
  for i = #list - 1, 1, -2 do
    if list[i] == epoch then return tonumber(list[i + 3] or headOf()) end
  end
  return nil
end

local function trusted(epoch, offset)
  local last = endOf(epoch)
  return last and math.min(offset, last) or -1
end

local function rank(epoch)
  local list = lineageOf()
  for i = #list - 1, 1, -2 do
    if list[i] == epoch then return i end
  end
  return -1
end

-- Notifications: appended events are gathered and told before anything else is.
local told = {}
local function tell(message)
  redis.call('SPUBLISH', CHANNEL, message)
end
local function tellAppended()
  local i = 1
  while i <= #told do
    local first = told[i]
    local parts, size = {}, 0
    local last = first
    while i <= #told do
      local event = told[i]
      if event.epoch ~= first.epoch or (size > 0 and size + #event.body > NOTIFIED_BYTES) then break end
      last = event
      size = size + #event.body
      parts[#parts + 1] = struct.pack('>I4', #event.body)
      parts[#parts + 1] = event.body
      i = i + 1
    end
    local carried = size <= NOTIFIED_BYTES and table.concat(parts) or ''
    tell(table.concat({ 'A', first.epoch, whole(last.offset), whole(first.offset), whole(first.at), carried }, '\n'))
  end
  told = {}
end

-- Trimming waits for the end of a row of appends that ask for the same: the outcome is that of each in its turn.
local waiting = nil
local function trim(events, bytes, age, keepLast)
  if not s.epoch or s.first > s.head then return end
  local first = math.max(s.first, s.head + 1 - events)
  if s.total - s.base > bytes then
    local fits = firstThat(function(before) return s.total - before <= bytes end)
    first = math.max(first, keepLast and math.min(fits, s.head) or fits)
  end
  local oldest = now - age
  if s.firstAt < oldest then first = math.max(first, firstThat(function(_, at) return at >= oldest end)) end
  if first == s.first then return end
  s.base, s.firstAt = place(first)
  s.first = first
  changed = true
  if first > s.head then
    redis.call('UNLINK', LOG)
  else
    -- Whole nodes of the stream, a bounded number: the rest goes with later calls and is not read.
    redis.call('XTRIM', LOG, 'MINID', '~', whole(first), 'LIMIT', 10000)
  end
end
local function trimWaiting()
  if not waiting then return end
  local events, bytes, age = waiting[1], waiting[2], waiting[3]
  waiting = nil
  trim(events, bytes, age, true)
end

local function mayBeBorn()
  return born and born > s.dead and string.find(runs, run, 1, true)
end

-- The record of a topic that can be appended to.
local function begin()
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
  s.run = run
  changed = true
end

-- A log whose record was lost goes on under an epoch that begins before it: nobody's position fits what is left.
local function adopt()
  local firstOffset, firstAt, base = placeOf(redis.call('XRANGE', LOG, '-', '+', 'COUNT', 1)[1])
  local last = redis.call('XREVRANGE', LOG, '+', '-', 'COUNT', 1)[1]
  local head, lastAt, before = placeOf(last)
  local list = lineageOf()
  list[#list + 1] = fresh
  list[#list + 1] = '0'
  setLineage(list)
  s.epoch, s.run, s.born, s.stray = fresh, run, born, false
  s.first, s.head, s.base, s.total = firstOffset, head, base, before + #last[2][2]
  s.firstAt, s.lastAt = firstAt, lastAt
  changed = true
  tell('C')
end

-- Producers: `start next usedAt seq offset count`, the last three a range; earlier ranges in a list of their own.
local producers = {}
local function producerKey(subject, name)
  return #subject .. ':' .. subject .. name
end
local function producerOf(key)
  local p = producers[key]
  if p then return p end
  local text = redis.call('HGET', PRODUCERS, key)
  p = { stored = text ~= false }
  if text then
    local numbers = {}
    for number in string.gmatch(text, '%d+') do numbers[#numbers + 1] = tonumber(number) end
    if now - numbers[3] < PRODUCER_MS then
      p.start, p.next, p.usedAt, p.seq, p.offset, p.count = unpack(numbers)
    end
  end
  producers[key] = p
  return p
end
local function producedAt(key, p, from, to)
  local offsets = {}
  local ranges = {}
  if from < p.seq then
    for _, text in ipairs(redis.call('LRANGE', tag .. 'produced:' .. key, 0, -1)) do
      local seq, offset, count = string.match(text, '^(%d+) (%d+) (%d+)$')
      ranges[#ranges + 1] = { tonumber(seq), tonumber(offset), tonumber(count) }
    end
  end
  ranges[#ranges + 1] = { p.seq, p.offset, p.count }
  local i = 1
  for seq = from, to do
    while ranges[i] and ranges[i][1] + ranges[i][3] <= seq do i = i + 1 end
    local range = ranges[i]
    if not range or range[1] > seq then return nil end
    offsets[#offsets + 1] = range[2] + seq - range[1]
  end
  return offsets
end
local function take(key, p, seq, offsets)
  local list = tag .. 'produced:' .. key
  if not p.next then
    if p.stored then redis.call('UNLINK', list) end
    p.start, p.next, p.seq, p.offset, p.count = seq, seq, seq, 0, 0
  end
  for number = math.max(seq, p.next), seq + #offsets - 1 do
    local offset = offsets[number - seq + 1]
    if p.count > 0 and offset == p.offset + p.count then
      p.count = p.count + 1
    else
      if p.count > 0 then
        redis.call('RPUSH', list, whole(p.seq) .. ' ' .. whole(p.offset) .. ' ' .. whole(p.count))
        p.listed = true
      end
      p.seq, p.offset, p.count = number, offset, 1
    end
  end
  p.next = math.max(p.next, seq + #offsets)
  if p.listed then
    while true do
      local text = redis.call('LINDEX', list, 0)
      if not text then break end
      local first, _, count = string.match(text, '^(%d+) (%d+) (%d+)$')
      if tonumber(first) + tonumber(count) > p.next - KEPT_DRAFTS then break end
      redis.call('LPOP', list)
    end
  end
  if not p.stored then
    fallDue(now + PRODUCER_MS, 'p' .. key)
    p.stored = true
  end
  p.usedAt = now
  p.changed = true
end

-- Ids: a hash `offset at number` by id, and their order in a list whose first number is kept beside the subject.
local function offsetOfId(hash, id)
  local text = redis.call('HGET', hash, id)
  if not text then return nil end
  local offset, at = string.match(text, '^(%d+) (%d+) ')
  return now - tonumber(at) < ID_MS and tonumber(offset) or nil
end
local function forgetId(subject, floor)
  local id = redis.call('LPOP', tag .. 'idlog:' .. subject)
  if not id then return false end
  local hash = tag .. 'ids:' .. subject
  local text = redis.call('HGET', hash, id)
  -- Given again after its time, the id has a later number and stays.
  if text and tonumber(string.match(text, '(%d+)$')) == floor then redis.call('HDEL', hash, id) end
  return true
end
local function remember(subject, ids)
  local hash, list = tag .. 'ids:' .. subject, tag .. 'idlog:' .. subject
  local floor = tonumber(redis.call('HGET', SUBJECTS, subject) or 0)
  local length = redis.call('LLEN', list)
  if length == 0 then fallDue(now + ID_MS, 'i' .. subject) end
  for _, given in ipairs(ids) do
    redis.call('HSET', hash, given[1], whole(given[2]) .. ' ' .. whole(now) .. ' ' .. whole(floor + length))
    redis.call('RPUSH', list, given[1])
    length = length + 1
  end
  while length > maxIds do
    forgetId(subject, floor)
    floor, length = floor + 1, length - 1
  end
  redis.call('HSET', SUBJECTS, subject, whole(floor))
end

-- Cursors: `offset session usedAt epoch`.
local function storedCursor(key)
  local text = redis.call('HGET', CURSORS, key)
  if not text then return nil end
  local offset, session, usedAt, epoch = string.match(text, '^(%d+) (%d+) (%d+) (.*)$')
  return { offset = tonumber(offset), session = session, usedAt = tonumber(usedAt), epoch = epoch }
end
local function isOver(cursor)
  return now - cursor.usedAt >= CURSOR_MS
end
local function putCursor(key, cursor)
  redis.call(
    'HSET', CURSORS, key, whole(cursor.offset) .. ' ' .. cursor.session .. ' ' .. whole(now) .. ' ' .. cursor.epoch)
end
local function checked(epoch, offset)
  local last = endOf(epoch)
  if not last then return { 'error', 'stale_epoch', epoch } end
  if offset > last then return { 'error', 'bad_request', whole(last) } end
  return nil
end
local function knowsLineage()
  return s.epoch or (born and born > s.dead)
end
local function bounds(reply)
  reply[#reply + 1] = presentEpoch()
  reply[#reply + 1] = lineageText()
  reply[#reply + 1] = whole(s.first or 1)
  reply[#reply + 1] = whole(headOf())
  return reply
end

local operations = {}

-- append: subject producer seq events bytes age count withIds, then bodies (each with its id behind it)
function operations.append()
  local subject, producer, seq = arg(), arg(), num()
  local events, bytes, age = num(), num(), num()
  local count, withIds = num(), arg() == '1'
  local width = withIds and 2 or 1
  local start = argi + 1
  argi = argi + count * width
  if full then return { 'error', 'storage_full' } end

  local offsets, repeated = {}, 0
  local key, p
  if seq >= 0 then
    key = producerKey(subject, producer)
    p = producerOf(key)
    local nextSeq = p.next or seq
    if p.next and seq > nextSeq then return { 'error', 'skipped', whole(nextSeq) } end
    if not p.next and seq > 1 then return { 'error', 'unknown' } end
    local last = math.min(nextSeq, seq + count) - 1
    if last >= seq then
      local kept = seq >= math.max(p.start, p.next - KEPT_DRAFTS) and producedAt(key, p, seq, last)
      if not kept then return { 'error', 'forgotten', whole(seq) } end
      offsets, repeated = kept, #kept
    end
  end

  local hash = tag .. 'ids:' .. subject
  local head = headOf()
  local duplicates, added = repeated, 0
  local inThisCall, ids, bodies = {}, {}, {}
  for i = repeated, count - 1 do
    local body = ARGV[start + i * width]
    local id = withIds and ARGV[start + i * width + 1] or ''
    local earlier = id ~= '' and (inThisCall[id] or offsetOfId(hash, id))
    if earlier then
      duplicates = duplicates + 1
      offsets[#offsets + 1] = earlier
    else
      added = added + 1
      bodies[added] = body
      offsets[#offsets + 1] = head + added
      if id ~= '' then
        inThisCall[id] = head + added
        ids[#ids + 1] = { id, head + added }
      end
    end
  end

  if added > 0 and not s.epoch and not mayBeBorn() then return 'birth' end
  if not s.epoch and not knowsLineage() then return 'epochs' end
  if waiting and (added == 0 or waiting[1] ~= events or waiting[2] ~= bytes or waiting[3] ~= age) then trimWaiting() end
  if added > 0 then
    begin()
    local at = math.max(now, s.lastAt)
    local suffix = '-' .. whole(at)
    if s.first > s.head then s.firstAt = at end
    for i = 1, added do
      local body = bodies[i]
      s.head = s.head + 1
      redis.call('XADD', LOG, whole(s.head) .. suffix, whole(s.total), body)
      s.total = s.total + #body
      told[#told + 1] = { offset = s.head, at = at, epoch = s.epoch, body = body }
    end
    s.lastAt = at
  end
  if s.epoch then
    if #ids > 0 then remember(subject, ids) end
    if p then take(key, p, seq, offsets) end
    if added > 0 then
      waiting = { events, bytes, age }
    else
      trim(events, bytes, age, false)
    end
  end
  if duplicates == 0 then return { 'new', s.epoch, whole(offsets[1]) } end
  local reply = { 'mixed', presentEpoch(), whole(duplicates) }
  for _, offset in ipairs(offsets) do reply[#reply + 1] = whole(offset) end
  return reply
end

function operations.trim()
  local events, bytes, age = num(), num(), num()
  if not knowsLineage() then return 'epochs' end
  trimWaiting()
  trim(events, bytes, age, false)
  return bounds({ 'done' })
end

-- repair: what loading did is all
function operations.repair()
  return { 'done' }
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
  redis.call('UNLINK', LOG, KEYS[1], SUBJECTS, PRODUCERS)
  redis.call('HSET', KEYS[1], 'dead', whole(s.born))
  tell('C')
  s = { dead = s.born }
  producers, lineage, newLineage, changed = {}, nil, nil, false
  return { 'dropped' }
end

-- open: owner start epoch offset; start: `end` `start` `at` or, for a cursor that is moved, `place`
function operations.open()
  local key, start, epoch, offset = arg(), arg(), arg(), num()
  if not knowsLineage() then return 'epochs' end
  trimWaiting()
  if start == 'place' then
    local wrong = checked(epoch, offset)
    if wrong then return wrong end
  end
  local stored = storedCursor(key)
  local known = stored and not isOver(stored) and stored or nil
  if full and not known then return { 'error', 'storage_full' } end
  if start == 'end' then
    epoch, offset = presentEpoch(), headOf()
  elseif start == 'start' then
    epoch, offset = presentEpoch(), (s.first or 1) - 1
  end
  if known and start ~= 'place' then epoch, offset = known.epoch, known.offset end
  local note = redis.call('HGET', NOTES, key)
  local expired = not known and (stored or (note and now < tonumber(note)))
  -- By the clock, so that a session is higher than one that the server forgot.
  local session = math.max(microseconds(), tonumber(redis.call('HGET', CURSORS, '') or 0) + 1)
  redis.call('HSET', CURSORS, '', whole(session))
  putCursor(key, { epoch = epoch, offset = offset, session = whole(session) })
  if note then redis.call('HDEL', NOTES, key) end
  if not stored then
    redis.call('ZADD', OWNERS, 0, key)
    fallDue(now + CURSOR_MS, 'c' .. key)
  end
  tellAppended()
  tell('S\n' .. whole(session) .. '\n' .. key)
  return bounds({ 'done', epoch, whole(offset), whole(session), known and '0' or '1', expired and '1' or '0' })
end

function operations.commit()
  local key, session, epoch, offset = arg(), arg(), arg(), num()
  if not knowsLineage() then return 'epochs' end
  local known = storedCursor(key)
  if not known or isOver(known) then return { 'error', 'not_found' } end
  if known.session ~= session then return { 'error', 'taken_over' } end
  local wrong = checked(epoch, offset)
  if wrong then return wrong end
  local further
  if epoch == known.epoch then
    further = offset > math.min(known.offset, endOf(epoch))
  else
    further = trusted(epoch, offset) - trusted(known.epoch, known.offset)
    further = further > 0 or (further == 0 and rank(epoch) > rank(known.epoch))
  end
  if further then known.epoch, known.offset = epoch, offset end
  putCursor(key, known)
  return { 'done', known.epoch, whole(known.offset) }
end

function operations.forget()
  local key = arg()
  local known = storedCursor(key)
  if not known or isOver(known) then return { 'none' } end
  redis.call('HDEL', CURSORS, key)
  redis.call('ZREM', OWNERS, key)
  redis.call('ZREM', DUE, 'c' .. key)
  return { 'forgotten' }
end

-- sweep: a bounded part of what has fallen due
local sweeps = {}
function sweeps.i(subject, swept)
  local list, hash = tag .. 'idlog:' .. subject, tag .. 'ids:' .. subject
  local floor = tonumber(redis.call('HGET', SUBJECTS, subject) or 0)
  local done = 0
  while true do
    local id = redis.call('LINDEX', list, 0)
    if not id then
      redis.call('HDEL', SUBJECTS, subject)
      return nil
    end
    local text = redis.call('HGET', hash, id)
    local _, at, number = string.match(text or '', '^(%d+) (%d+) (%d+)$')
    local due = tonumber(number) == floor and tonumber(at) + ID_MS or 0
    if due > now or done == 1000 then
      redis.call('HSET', SUBJECTS, subject, whole(floor))
      if due <= now then swept.more = true end
      return math.max(due, 1)
    end
    forgetId(subject, floor)
    floor, done = floor + 1, done + 1
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
