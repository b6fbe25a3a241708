-- The operation that puts other records in the places of a log's. Entries of a stream cannot be changed, so the log is
-- copied into a stream beside it, in any number of calls, which takes its place when it has everything.

-- Blocks that came since, and are copied by themselves, at each call.
local TAIL, TAIL_BYTES, AT_ONCE = 2000, 1048576, 16

local function copied(copy, entry, records, lengths)
  local id, fields = entry[1], entry[2]
  putBlock(copy, id, fields[1], records or fields[2], tonumber(fields[3] or 1), lengths or fields[4])
  return id, blockOf(entry).last
end

-- rewrite: previous last count, then of each block its id, its records and their lengths; no records where it stays
--   previous: the id of the last block that was copied; empty for none yet. last: the offset up to which all are given.
-- Answer: `lost` where the copy ends elsewhere, and where that is · `more` previous · `done`. Where: the block and its last offset.
function operations.rewrite()
  local previous, last, count = arg(), num(), num()
  local start = argi
  argi = start + 3 * count
  local copy = tag .. 'rewriting'
  if full then return { 'error', 'storage_full' } end
  trimWaiting()
  if not s.epoch or s.first > s.head then
    redis.call('UNLINK', copy)
    return { 'done' }
  end
  local offset = s.first - 1
  if previous == '' then
    redis.call('UNLINK', copy)
  else
    local kept = redis.call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
    if not kept then return { 'lost' } end
    offset = blockOf(kept).last
    if kept[1] ~= previous then return { 'lost', kept[1], whole(offset) } end
  end
  for i = start + 1, start + 3 * count, 3 do
    local id, records, lengths = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    -- It may have been trimmed meanwhile.
    local entry = redis.call('XRANGE', LOG, id, id)[1]
    if entry then
      if records == '' then records, lengths = nil, nil end
      previous, offset = copied(copy, entry, records, lengths)
    end
  end
  if offset < math.min(last, s.head) then return { 'more', previous, whole(offset) } end
  local blocks, bytes = 0, 0
  repeat
    local entries = redis.call('XRANGE', LOG, whole(offset + 1), '+', 'COUNT', AT_ONCE)
    for _, entry in ipairs(entries) do
      previous, offset = copied(copy, entry)
      blocks, bytes = blocks + 1, bytes + #entry[2][2]
    end
    if blocks >= TAIL or bytes >= TAIL_BYTES then return { 'more', previous, whole(offset) } end
  until #entries < AT_ONCE
  if redis.call('EXISTS', copy) == 1 then redis.call('RENAME', copy, LOG) end
  found = nil
  return { 'done' }
end
