-- The operation that adds drafts, with what it has to remember: producers and ids.

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

-- append: subject producer seq events bytes age holdBytes count withIds, then bodies (each with its id behind it)
function operations.append()
  local subject, producer, seq = arg(), arg(), num()
  local events, bytes, age, holdBytes = num(), num(), num(), num()
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
  if waiting and (
    added == 0 or waiting[1] ~= events or waiting[2] ~= bytes or waiting[3] ~= age or waiting[4] ~= holdBytes)
  then
    trimWaiting()
  end
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
      waiting = { events, bytes, age, holdBytes }
    else
      trim(events, bytes, age, holdBytes, false)
    end
  end
  if duplicates == 0 then return { 'new', s.epoch, whole(offsets[1]) } end
  local reply = { 'mixed', presentEpoch(), whole(duplicates) }
  for _, offset in ipairs(offsets) do reply[#reply + 1] = whole(offset) end
  return reply
end
