-- The operation that adds drafts, with what it has to remember: producers and ids.

-- Producers: behind `start next usedAt` the latest range, `seq offset count`; earlier ranges are in the list, or `unlisted`
-- yet. What a call takes is written in its end.
local producers
beginnings[#beginnings + 1] = function()
  producers = {}
end
local function producerIn(key)
  local p = producers[key]
  if p then return p end
  p = producerOf(key)
  local seq, offset, count = string.match(p.rest or '', '^ (%d+) (%d+) (%d+)$')
  if seq then
    p.seq, p.offset, p.count = tonumber(seq), tonumber(offset), tonumber(count)
  else
    p.next = nil
  end
  producers[key] = p
  return p
end
local function producedAt(key, p, from, to)
  local offsets = {}
  local ranges = {}
  local function addRanges(texts)
    for _, text in ipairs(texts) do
      local seq, offset, count = string.match(text, '^(%d+) (%d+) (%d+)$')
      ranges[#ranges + 1] = { tonumber(seq), tonumber(offset), tonumber(count) }
    end
  end
  if from < p.seq then
    addRanges(redis.call('LRANGE', tag .. 'produced:' .. key, 0, -1))
    addRanges(p.unlisted or {})
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
-- `offsets`: one for each of `count` numbers from `seq` on, or the first where all are new and follow each other.
local function take(key, p, seq, offsets, count)
  if not p.next then p.seq, p.offset, p.count = seq, 0, 0 end
  beginNumbers(key, p, seq)
  local function takeRange(number, offset, count)
    if p.count > 0 and offset == p.offset + p.count then
      p.count = p.count + count
      return
    end
    if p.count > 0 then
      p.unlisted = p.unlisted or {}
      p.unlisted[#p.unlisted + 1] = whole(p.seq) .. ' ' .. whole(p.offset) .. ' ' .. whole(p.count)
    end
    p.seq, p.offset, p.count = number, offset, count
  end
  if type(offsets) == 'number' then
    takeRange(seq, offsets, count)
  else
    for number = math.max(seq, p.next), seq + count - 1 do takeRange(number, offsets[number - seq + 1], 1) end
  end
  p.next = math.max(p.next, seq + count)
  p.usedAt = now
  p.changed = true
end

-- Of an id: `offset at number`.
function idText(number, _, offset)
  return whole(offset) .. ' ' .. whole(now) .. ' ' .. whole(number)
end
function idParts(text)
  local offset, at, number = string.match(text, '^(%d+) (%d+) (%d+)$')
  if number then return tonumber(number), tonumber(at) + ID_MS, tonumber(offset) end
end

-- The events of a group that are new, as a group.
local function newOf(lengths, records, isNew, i)
  local begun, counted, newLengths, newRecords = 1, 0, {}, {}
  for text in string.gmatch(lengths, '%d+') do
    local length = tonumber(text)
    if isNew[i] then
      newLengths[#newLengths + 1] = text
      newRecords[#newRecords + 1] = string.sub(records, begun, begun + length - 1)
      counted = counted + countedBytes(length, string.byte(records, begun))
    end
    i, begun = i + 1, begun + length
  end
  return #newLengths, counted, table.concat(newLengths, ' '), table.concat(newRecords)
end

-- append: subject producer seq events bytes age holdBytes count withIds groups, then the groups, then ids. Of each group how
-- many records it has, what retention counts of them, how long each is, and the records.
function operations.append()
  local subject, producer, seq = arg(), arg(), num()
  local events, bytes, age, holdBytes = num(), num(), num(), num()
  local count, withIds, groups = num(), arg() == '1', num()
  local start = argi
  local idsStart = start + groups * 4
  argi = idsStart + (withIds and count or 0)
  if full and count > 0 then return { 'error', 'storage_full' } end

  local offsets, repeated = {}, 0
  local key, p
  if seq >= 0 then
    key = #subject .. ':' .. subject .. producer
    p = producerIn(key)
    local kept, refused = repeatedOf(key, p, seq, count, producedAt)
    if refused then return refused end
    offsets, repeated = kept, #kept
  end

  local hash = tag .. 'ids:' .. subject
  local head = headOf()
  local duplicates, added = repeated, 0
  local inThisCall, ids, isNew = {}, {}, {}
  local allNew = repeated == 0 and not withIds
  if allNew then
    offsets, added = head + 1, count
  end
  for i = allNew and count + 1 or repeated + 1, count do
    local id = withIds and ARGV[idsStart + i] or ''
    local earlier = id ~= '' and (inThisCall[id] or idGiven(hash, id))
    if earlier then
      duplicates = duplicates + 1
      offsets[#offsets + 1] = earlier
    else
      added = added + 1
      isNew[i] = true
      offsets[#offsets + 1] = head + added
      if id ~= '' then
        inThisCall[id] = head + added
        ids[#ids + 1] = { id, now + ID_MS, head + added }
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
    beginLog()
    local at = math.max(now, s.lastAt)
    if s.first > s.head then s.firstAt = at end
    local i = 1
    for group = 1, groups do
      local own = start + group * 4
      local size, counted, lengths, records = tonumber(ARGV[own - 3]), tonumber(ARGV[own - 2]), ARGV[own - 1], ARGV[own]
      if added == count then
        addGroup(at, size, counted, lengths, records)
      else
        local newCount, newCounted, newLengths, newRecords = newOf(lengths, records, isNew, i)
        if newCount > 0 then addGroup(at, newCount, newCounted, newLengths, newRecords) end
        i = i + size
      end
    end
    s.lastAt = at
  end
  local forgotten = 0
  if s.epoch then
    if #ids > 0 then
      -- What is remembered of ids comes behind what it is of.
      putPending()
      forgotten = remember(subject, ids)
    end
    if p then take(key, p, seq, offsets, count) end
    if added > 0 then
      waiting = { events, bytes, age, holdBytes }
    else
      trim(events, bytes, age, holdBytes, false)
    end
  end
  if duplicates == 0 then return { 'new', presentEpoch(), whole(forgotten), whole(head + 1) } end
  local reply = { 'mixed', presentEpoch(), whole(forgotten) }
  for i, offset in ipairs(offsets) do reply[#reply + 1] = (isNew[i] and '' or '-') .. whole(offset) end
  return reply
end
