-- The operation that puts other records in the places of a log's. Entries of a stream cannot be changed, so the log is
-- copied into a stream beside it, in any number of calls, which takes its place when it has everything.

-- Entries that came since, and are copied by themselves, at each call.
local TAIL = 2000

-- rewrite: previous last count, then of each entry its id and its record, or nothing where that stays
--   previous: the id of the last entry that was copied; empty for none yet. last: the offset up to which all are given.
-- Answer: `lost` where the copy ends elsewhere, and where that is · `more` previous · `done`
function operations.rewrite()
  local previous, last, count = arg(), num(), num()
  local start = argi
  argi = start + 2 * count
  local copy = tag .. 'rewriting'
  if full then return { 'error', 'storage_full' } end
  trimWaiting()
  if not s.epoch or s.first > s.head then
    redis.call('UNLINK', copy)
    return { 'done' }
  end
  if previous == '' then
    redis.call('UNLINK', copy)
  else
    local kept = redis.call('XREVRANGE', copy, '+', '-', 'COUNT', 1)[1]
    if not kept or kept[1] ~= previous then return { 'lost', kept and kept[1] or '' } end
  end
  for i = 1, count do
    local id, record = ARGV[start + 2 * i - 1], ARGV[start + 2 * i]
    -- It may have been trimmed meanwhile.
    local entry = redis.call('XRANGE', LOG, id, id)[1]
    if entry then
      redis.call('XADD', copy, id, entry[2][1], record ~= '' and record or entry[2][2])
      previous = id
    end
  end
  local offset = tonumber(string.match(previous, '^%d+') or s.first - 1)
  if offset < math.min(last, s.head) then return { 'more', previous } end
  local entries = redis.call('XRANGE', LOG, whole(offset + 1), '+', 'COUNT', TAIL)
  for _, entry in ipairs(entries) do
    redis.call('XADD', copy, entry[1], entry[2][1], entry[2][2])
    previous = entry[1]
  end
  if #entries == TAIL then return { 'more', previous } end
  if redis.call('EXISTS', copy) == 1 then redis.call('RENAME', copy, LOG) end
  return { 'done' }
end
