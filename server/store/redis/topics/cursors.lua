-- The operations on cursors.

-- Cursors: `offset session usedAt epoch`.
local function storedCursor(key)
  local text = redis.call('HGET', CURSORS, key)
  if not text then return nil end
  local offset, session, usedAt, epoch = string.match(text, '^(%d+) (%d+) (%d+) (.*)$')
  -- One that is spoilt is over: whoever opens it is told.
  if not offset then return { offset = 0, session = '0', usedAt = 0, epoch = '' } end
  return { offset = tonumber(offset), session = session, usedAt = tonumber(usedAt), epoch = epoch }
end
local function isOver(cursor)
  return now - cursor.usedAt >= CURSOR_MS
end
local function putCursor(key, cursor, isNew)
  redis.call(
    'HSET', CURSORS, key, whole(cursor.offset) .. ' ' .. cursor.session .. ' ' .. whole(now) .. ' ' .. cursor.epoch)
  if isNew then
    redis.call('ZADD', OWNERS, 0, key)
    forgetAt(now + CURSOR_MS, 'c' .. key)
  end
end
local function lastSession()
  return tonumber(redis.call('HGET', CURSORS, '') or 0) or 0
end
local function checked(epoch, offset)
  local log, last = placeIn(epoch)
  if not log then return { 'error', 'stale_epoch', epoch } end
  if offset > last then return { 'error', 'bad_request', whole(last) } end
  return nil
end
-- By log, then by trusted offset, then by epoch: what was lost in between has been told.
local function isFurther(epoch, offset, known)
  local log, last, rank = placeIn(epoch)
  local knownLog, knownLast, knownRank = placeIn(known.epoch)
  if not knownLog or log ~= knownLog then return not knownLog or log > knownLog end
  local further = math.min(offset, last) - math.min(known.offset, knownLast)
  return further > 0 or (further == 0 and rank > knownRank)
end

-- open: owner start epoch offset since; start: `end` `start` `at` or, for a cursor that is moved, `place`
function operations.open()
  local key, start, epoch, offset, since = arg(), arg(), arg(), num(), arg()
  if not knowsLineage() then return 'epochs' end
  trimWaiting()
  if start == 'place' then
    local wrong = checked(epoch, offset)
    if wrong then return wrong end
  end
  local stored = storedCursor(key)
  if since ~= '' and since ~= (stored and stored.session or '0') then return { 'error', 'began' } end
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
  local session = math.max(microseconds(), lastSession() + 1, stored and tonumber(stored.session) + 1 or 0)
  redis.call('HSET', CURSORS, '', whole(session))
  putCursor(key, { epoch = epoch, offset = offset, session = whole(session) }, not stored)
  if note then redis.call('HDEL', NOTES, key) end
  tellAppended()
  tell('S\n' .. whole(session) .. '\n' .. key)
  return bounds({ 'done', epoch, whole(offset), whole(session), known and '0' or '1', expired and '1' or '0' })
end

function operations.commit()
  local key, session, epoch, offset = arg(), arg(), arg(), num()
  if not knowsLineage() then return 'epochs' end
  local stored = storedCursor(key)
  local known = stored and not isOver(stored) and stored or nil
  -- Above the known ones it is a session that the server forgot, and maybe its cursor with it: both are remembered again.
  if not known and tonumber(session) <= lastSession() then return { 'error', 'not_found' } end
  if known and tonumber(session) < tonumber(known.session) then return { 'error', 'taken_over' } end
  local wrong = checked(epoch, offset)
  if wrong then return wrong end
  if full and not known then return { 'error', 'storage_full' } end
  local further = not known or isFurther(epoch, offset, known)
  if not further then epoch, offset = known.epoch, known.offset end
  putCursor(key, { epoch = epoch, offset = offset, session = session }, not stored)
  return { 'done', epoch, whole(offset) }
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
