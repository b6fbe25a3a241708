-- The end of a job: it leaves its queue, and what became of it is kept as the policy says.

-- Those that are over what is kept and go with one call, and those that are over their time and go in one part of a sweep.
finished.PART, finished.FORGOTTEN = 100, 200
-- What is added and not yet written, as the commands take it.
function finished.none()
  finished.rows, finished.ids, finished.times = {}, {}, { {}, {} }
end
beginnings[#beginnings + 1] = function()
  -- Since the last look at what is over: jobs, and bytes by how they ended.
  finished.added, finished.bytes = 0, { 0, 0 }
  finished.none()
end
-- Part of `flush`.
function finished.write()
  if #finished.rows == 0 then return end
  many('HSET', finished.key, finished.rows)
  many('HSET', finished.names, finished.ids)
  for state = 1, 2 do many('ZADD', finished.by[state], finished.times[state]) end
  finished.none()
end

function finished.keepOf(text)
  local count, ageMs, bytes = string.match(text, '^(%S+) (%S+) (%S+)$')
  return count and { count = tonumber(count), ageMs = tonumber(ageMs), bytes = tonumber(bytes) } or nil
end
function finished.keeps(keep)
  return keep and keep.count > 0 and keep.ageMs > 0
end

-- One that has more bytes than are kept is not.
function finished.keepRow(state, n, named, id, over, row)
  if #row > policy.keep.bytes then return end
  local rows, ids, times = finished.rows, finished.ids, finished.times[state]
  rows[#rows + 1] = n
  rows[#rows + 1] = row
  times[#times + 1] = digits(over)
  times[#times + 1] = finished.name(n)
  if named == 1 then
    ids[#ids + 1] = id
    ids[#ids + 1] = n
  end
  finished.added = finished.added + 1
  finished.bytes[state] = finished.bytes[state] + #row
  if not finished.next then
    finished.next = tonumber(redis.call('ZSCORE', DUE, 'f') or huge)
  end
  if over < finished.next then
    forgetAt(over, 'f')
    finished.next = over
  end
end
beginnings[#beginnings + 1] = function()
  finished.next, finished.isAwaited, finished.spanTo = nil, nil, nil
end
-- Of what is told of it: how it ended, its texts, its result.
function finished.add(j, state, ageMs, texts, lengths, result, why, history, startedAt, progress)
  local over = now + ageMs
  finished.keepRow(state, j.n, j.named, j.id, over, struct.pack(
    finished.ROW, state, j.named, j.priority, j.sentAt, startedAt, now, over, j.attempts, j.deliveries, lengths[1],
    lengths[2], lengths[3], #result, #why, #history) .. texts .. result .. why .. history .. (progress or ''))
end
-- The same of a record as it is, whose job is done and has no key and no history, up to where the token of its lease
-- begins: most of it has the same bytes here. When it was sent stands 32 bytes before the key's length.
function finished.addPlain(n, record, last, size, result, named, id)
  local over = now + policy.keep.ageMs
  -- Calls that share a script may have other policies.
  if finished.spanTo ~= over then finished.spanTo, finished.span = over, struct.pack('<dd', now, over) end
  finished.keepRow(finished.DONE, n, named, id, over, string.char(finished.DONE, named)
    .. string.sub(record, ATTEMPTS_AT - 1, ATTEMPTS_AT - 1) .. string.sub(record, KEY_LENGTH_AT - 32, KEY_LENGTH_AT - 25)
    .. string.sub(record, SIZE_AT + 4, SIZE_AT + 11) .. finished.span .. string.sub(record, ATTEMPTS_AT, ATTEMPTS_AT + 3)
    .. string.sub(record, 5, 8) .. NO_LENGTH .. string.sub(record, KEY_LENGTH_AT + 4, KEY_LENGTH_AT + 11)
    .. struct.pack('<I4', #result) .. NO_LENGTH .. NO_LENGTH
    .. string.sub(record, RECORD_SIZE + (size <= SMALL and size or 0) + 1, last) .. result)
end

-- The job is taken from the queue for good; it is in no state any more.
local function remove(p, j)
  leaveLine(p, j)
  unscore(p.expiries, j.n)
  if j.history == 1 then field(HISTORY, j.n, false) end
  if j.own then field(own.key, j.n, false) end
  if j.family then family.forget(j.n) end
  if j.progress then field(own.progressKey, j.n, false) end
  if p.dead then field(DEATHS, j.n, false) end
  if j.named == 1 then field(NAMES, j.id, false) end
  if j.size > SMALL then field(BODIES, j.n, false) end
  setRecord(j.n, false)
  p.count = p.count - 1
  p.bytes = p.bytes - j.size
end

local function finish(p, j, state, result)
  local parent = family.placeOf(j)
  local function gone()
    remove(p, j)
    if parent then
      family.ended(j, state == finished.DONE and family.DONE or family.REMOVED, '', result, parent)
    end
  end
  local keep = own.keep(j)
  if not keep then return gone() end
  local history = j.history == 1 and redis.call('HGET', HISTORY, j.n) or ''
  local progress = j.progress and fieldOf(own.progressKey, j.n) or ''
  local why, startedAt = '', not p.dead and j.state == HELD and j.expAt or 0
  if p.dead then
    local isRead, death = pcall(cjson.decode, fieldOf(DEATHS, j.n) or '[]')
    if isRead then
      startedAt = death[4] or 0
      if state == finished.REMOVED then why = death[3] ~= '' and death[3] or death[1] or '' end
    end
  end
  gone()
  local lengths = { #j.key, #j.subject, #j.id }
  finished.add(j, state, keep.ageMs, j.key .. j.subject .. j.id, lengths, result, why, history, startedAt, progress)
end

-- Takes some of those that ended so away: the first ones, or one of another place.
function finished.drop(state, names, isOne)
  if #names == 0 then return 0 end
  local numbers, given, owners, gone, bytes = {}, {}, {}, {}, 0
  for i = 1, #names do numbers[i] = digits(tonumber(names[i])) end
  for i, row in ipairs(valuesOf(finished.key, numbers)) do
    if row then
      bytes = bytes + #row
      if string.byte(row, 2) == 1 then
        given[#given + 1] = finished.idIn(row)
        owners[#owners + 1] = numbers[i]
      end
    end
  end
  for i, owner in ipairs(valuesOf(finished.names, given)) do
    if owner == owners[i] then gone[#gone + 1] = given[i] end
  end
  many('HDEL', finished.key, numbers)
  many('HDEL', finished.names, gone)
  if isOne then
    redis.call('ZREM', finished.by[state], names[1])
  else
    redis.call('ZREMRANGEBYRANK', finished.by[state], 0, #names - 1)
  end
  return tonumber(redis.call('HINCRBY', finished.sizes, state, -bytes))
end

-- What is more than is kept: all that came since the last time, and a part of the rest. Called last by each call that
-- ends jobs, or may find others to be over.
function finished.trim()
  local keep = policy and policy.keep
  if not keep then return end
  flush()
  local left = finished.added + finished.PART
  for state = 1, 2 do
    local added = finished.bytes[state]
    local bytes = tonumber(
      added > 0 and redis.call('HINCRBY', finished.sizes, state, added) or redis.call('HGET', finished.sizes, state) or 0)
    finished.bytes[state] = 0
    local over = math.min(left, redis.call('ZCARD', finished.by[state]) - keep.count)
    if over > 0 then
      bytes = finished.drop(state, redis.call('ZRANGE', finished.by[state], 0, over - 1))
      left = left - over
    end
    while left > 0 and bytes > keep.bytes do
      local first = redis.call('ZRANGE', finished.by[state], 0, 0)
      if #first == 0 then break end
      bytes = finished.drop(state, first)
      left = left - 1
    end
  end
  finished.added = 0
end

-- What was kept under this id is forgotten: another job gets it.
function finished.forget(id)
  finished.write()
  local n = redis.call('HGET', finished.names, id)
  if not n then return end
  flush()
  for state = 1, 2 do
    local name = finished.name(n)
    if redis.call('ZSCORE', finished.by[state], name) then finished.drop(state, { name }, true) end
  end
end

-- Until when somebody waits for the end of a job; 0 for nobody.
function finished.awaitedBy(n)
  if finished.isAwaited == nil then finished.isAwaited = redis.call('EXISTS', finished.awaits) == 1 end
  return finished.isAwaited and tonumber(redis.call('HGET', finished.awaits, n) or 0) or 0
end

-- awaitEnd: until, then id number token
function operations.awaitEnd()
  local untilTime = num()
  flush()
  local n, record = resolve(arg(), arg(), arg(), recordOf)
  if not record or decode(n, record).dead == 1 then return { 'done', '0' } end
  if untilTime > finished.awaitedBy(n) then
    redis.call('HSET', finished.awaits, n, whole(untilTime))
    finished.isAwaited = true
    forgetAt(untilTime, 'w' .. n)
  end
  return { 'done', '1' }
end
function sweeps.w(n)
  local untilTime = tonumber(redis.call('HGET', finished.awaits, n) or 0)
  if untilTime > now then return untilTime end
  redis.call('HDEL', finished.awaits, n)
  return nil
end

-- What a sweep does with what is over its time.
function sweeps.f(_, swept)
  flush()
  local following = huge
  for state = 1, 2 do
    local names = redis.call('ZRANGEBYSCORE', finished.by[state], '-inf', whole(now), 'LIMIT', 0, finished.FORGOTTEN)
    finished.drop(state, names)
    if #names == finished.FORGOTTEN then swept.more = true end
    following = math.min(following, firstScore(finished.by[state]))
  end
  return following < huge and math.max(1, following) or nil
end
