-- The operation that ends or changes leases, and the memory of those that ended.

local CHUNK = 1024
local ENTRY = 8
local DONE, RETRY, RELEASE, DEAD, EXTEND = 1, 2, 3, 4, 5

-- See releases.ts.
local function pauseOf(j)
  local PAUSE_MS, LONGEST_PAUSE_MS = 100, 5000
  if j.history == 0 then return 0 end
  local list = cjson.decode(redis.call('HGET', HISTORY, j.n) or '[]')
  -- What stands behind a `#` in the name of a client is new with each connection or claim.
  local name, before = string.gsub(j.consumer, '#[^%z]*$', ''), 0
  for i = #list, 1, -1 do
    if list[i][2] ~= 'release' then break end
    if string.gsub(list[i][3], '#[^%z]*$', '') == name then before = before + 1 end
  end
  return before == 0 and 0 or math.min(LONGEST_PAUSE_MS, PAUSE_MS * 2 ^ (before - 1))
end

-- Back at its place, or with `behind` behind what waits and, where it is given back again and again, later.
local function release(p, j, behind)
  local pause = behind and pauseOf(j) or 0
  unhold(p, j)
  j.suspect = 0
  note(j, 'release', j.consumer)
  j.token, j.consumer = '', ''
  if behind then
    p.lastSequence = p.lastSequence + 1
    j.sequence = p.lastSequence
  end
  readyAfter(p, j, pause)
  life.retrying(p, j)
end

-- Of a lease: how it ended, the end of its token, when. Those of one delivery are the same.
local entries
local function entryOf(as, token)
  local ofKind = entries[as]
  if not ofKind then
    ofKind = {}
    entries[as] = ofKind
  end
  local entry = ofKind[token]
  if not entry then
    entry = string.sub('drlxe', as, as) .. string.sub('....' .. token, -4) .. struct.pack('<I3', now % 16777216)
    ofKind[token] = entry
  end
  return entry
end
local ends, endedSerials, highestEnded, areSorted
local function noneEnded()
  ends, endedSerials, highestEnded, areSorted = {}, {}, -1, true
end
beginnings[#beginnings + 1] = function()
  entries = {}
  noneEnded()
end
local function ended(serial, as, token)
  if serial < highestEnded then areSorted = false end
  highestEnded = serial
  endedSerials[#endedSerials + 1] = serial
  ends[serial] = entryOf(as, token)
end
-- Neighbours are written together.
local function writeEnded()
  if #endedSerials == 0 then return end
  if not areSorted then table.sort(endedSerials) end
  local chunks = {}
  local i = 1
  while i <= #endedSerials do
    local first = endedSerials[i]
    local chunk = math.floor(first / CHUNK)
    local parts = { ends[first] }
    local last = first
    i = i + 1
    while endedSerials[i] == last or (endedSerials[i] == last + 1 and endedSerials[i] < (chunk + 1) * CHUNK) do
      if endedSerials[i] ~= last then
        last = endedSerials[i]
        parts[#parts + 1] = ends[last]
      end
      i = i + 1
    end
    local key = ENDED .. whole(chunk)
    redis.call('SETRANGE', key, (first - chunk * CHUNK) * ENTRY, table.concat(parts))
    chunks[key] = true
  end
  for key in pairs(chunks) do redis.call('PEXPIRE', key, ID_MS + 60000) end
  noneEnded()
end
local function endedSo(serial, as, token)
  local entry = ends[serial]
  if not entry then
    local chunk = math.floor(serial / CHUNK)
    local at = (serial - chunk * CHUNK) * ENTRY
    entry = redis.call('GETRANGE', ENDED .. whole(chunk), at, at + ENTRY - 1)
  end
  if #entry < ENTRY or as == EXTEND then return false end
  if string.sub(entry, 1, 5) ~= string.sub(entryOf(as, token), 1, 5) then return false end
  local age = (now % 16777216 - struct.unpack('<I3', entry, 6)) % 16777216
  -- By a clock that went back since, it ended in the future.
  return age < ID_MS or age > 16777216 - ID_MS
end

local settlers = {}

settlers[DONE] = function(p, j, _, reply)
  if j.state == HELD then
    unhold(p, j)
  else
    unwait(p, j)
  end
  life.tell('done', idOf(j), { attempt = j.attempts + 1 }, reply)
  keepAnswer(j, reply == '' and 1 or 2, '', reply)
  finish(p, j, finished.DONE, reply)
  p.done = p.done + 1
  if p.dead then live.done, breaker.done = live.done + 1, breaker.done + 1 end
end

-- A lease that lapsed and is settled late: there is nothing to do but to end it, and the suspicion.
local function endLate(p, j)
  if j.suspect == 1 and j.state == READY then
    unwait(p, j)
    j.suspect = 0
    makeReady(p, j)
  end
  j.suspect, j.token = 0, ''
  put(j)
end

settlers[RETRY] = function(p, j, delayMs, why)
  if j.state ~= HELD then return endLate(p, j) end
  unhold(p, j)
  j.suspect = 0
  note(j, 'retry', j.consumer, why)
  j.token = ''
  fail(p, j, why, delayMs)
end

settlers[RELEASE] = function(p, j, inPlace)
  if j.state == HELD then return release(p, j, inPlace ~= 1) end
  endLate(p, j)
end

settlers[DEAD] = function(p, j, _, why)
  -- It is where it belongs; delivered again at once it would go round without an end.
  if p.dead then return settlers[RETRY](p, j, -1, why) end
  local consumer = j.consumer
  if j.state == HELD then
    unhold(p, j)
  else
    unwait(p, j)
  end
  deadLetter(j, 'rejected', why, consumer)
end

settlers[EXTEND] = function(p, j, leaseMs)
  if j.state ~= HELD then
    if now >= j.capAt then return false end
    unwait(p, j)
    flush()
    j.state = HELD
    if not p.dead then j.expAt = now end
    local h = consumerOf(p, j.consumer)
    if not h then
      -- One that was forgotten meanwhile. Its suspects have to be counted when it comes back.
      h = { session = '0', touchedAt = 0, attached = false, lastSerial = -1, suspects = 0 }
      forgetAt(now + TOUCH_MS, 'h' .. (p.dead and 'd' or 'm') .. j.consumer)
    end
    -- Nobody is alone in hands that hold something already, or held another job since.
    if redis.call('SCARD', p.heldBy .. j.consumer) > 0 or h.lastSerial ~= j.serial then j.alone = 0 end
    h.lastSerial = j.serial
    if j.suspect == 1 then h.suspects = h.suspects + 1 end
    putConsumer(p, j.consumer, h)
    noted(members, p.heldBy .. j.consumer)[j.n] = true
  end
  j.capped = now + leaseMs >= j.capAt and 1 or 0
  j.expiresAt = math.min(now + leaseMs, j.capAt)
  score(p.held, j.n, j.expiresAt)
  due(j.expiresAt)
  put(j)
  return j.expiresAt < now + leaseMs and j.expiresAt or nil
end

-- Leases that were settled by somebody else than their consumer, who has to hear of it.
local function tellOthers(p, others)
  for consumer, leases in pairs(others) do
    local h = consumerOf(p, consumer)
    if h and isAttached(h) then
      tell('E', #leases, table.concat(leases, '\n'), consumer)
    end
  end
end

-- settle: part policy by count settlements, then a claim as it is asked by itself, or nothing in its place
-- Answer: a letter for each, the times at which leases end whose extensions were cut, then the claim's answer.
function operations.settle()
  local p = partOf(arg())
  readPolicy()
  local settler, count, settlements = arg(), num(), arg()
  fireTimers()
  local parsed, names = {}, {}
  local at = 1
  for i = 1, count do
    local each = { struct.unpack('<BddBc0Bc0I4c0I4c0', settlements, at) }
    parsed[i] = each
    names[i] = each[4]
    at = each[8]
  end
  fetch(names)
  local byte, sub, pack = string.byte, string.sub, struct.pack
  local outcomes = {}
  local isDead = p.dead and 1 or 0
  -- What is done leaves all lists of its queue alike, and together.
  local gone, large, given, hands, consumer = {}, {}, {}, {}, nil
  local others, cut = {}, {}
  local function clear()
    if #gone == 0 then return end
    for _, key in ipairs({ p.held, p.expiries }) do many('ZREM', key, gone) end
    many('HDEL', JOBS, gone)
    many('HDEL', BODIES, large)
    many('HDEL', NAMES, given)
    for by, names in pairs(hands) do many('SREM', p.heldBy .. by, names) end
    gone, large, given, hands, consumer = {}, {}, {}, {}, nil
  end
  local leaving
  local keeps = finished.keeps(policy.keep)
  for i = 1, count do
    local each = parsed[i]
    local as, serial, value, n, token, id, extra = each[1], each[2], each[3], each[4], each[5], each[6], each[7]
    local record = records[n]
    local outcome
    if record then
      local tokens, low, high = byte(record, TOKEN_AT, TOKEN_AT + 2)
      local last = #record - tokens - low - 256 * high
      if tokens > 0 and sub(record, last + 1, last + tokens) == token
        and sub(record, last - #id + 1, last) == id
        and sub(record, SERIAL_AT, SERIAL_AT + 7) == pack('<d', serial)
        and byte(record, DEAD_AT) == isDead then
        outcome = 'o'
        local state, suspect = byte(record, 1, 2)
        local inDead, history, named, request = byte(record, DEAD_AT, DEAD_AT + 3)
        local by = sub(record, last + tokens + 1)
        if state == HELD and by ~= settler and as ~= EXTEND then
          others[by] = others[by] or {}
          table.insert(others[by], n .. '.' .. whole(serial) .. '.' .. token)
        end
        -- The most common way to end needs none of the rest of the record.
        if as == DONE and state == HELD and s.events == 0 and suspect + inDead + history + request == 0
          and finished.awaitedBy(n) == 0 and not changedRecords[n] and sub(record, KEY_LENGTH_AT, KEY_LENGTH_AT + 3) == NO_LENGTH then
          if by ~= consumer then
            consumer = by
            leaving = hands[by] or {}
            hands[by] = leaving
          end
          leaving[#leaving + 1] = n
          gone[#gone + 1] = n
          records[n] = false
          local a, b, c, d = byte(record, SIZE_AT, SIZE_AT + 3)
          local size = a + 256 * b + 65536 * c + 16777216 * d
          if size > SMALL then large[#large + 1] = n end
          if named == 1 then given[#given + 1] = id end
          if keeps then finished.addPlain(n, record, last, size, extra, named, id) end
          p.count = p.count - 1
          p.bytes = p.bytes - size
          p.done = p.done + 1
        else
          clear()
          local ending = settlers[as](p, decode(n, record), value, extra)
          if ending == false then
            outcome = 'l'
          elseif as == EXTEND and ending then
            outcome = 'c'
            cut[#cut + 1] = whole(ending)
          end
        end
        if as ~= EXTEND then ended(serial, as, token) end
      end
    end
    outcomes[i] = outcome or (endedSo(serial, as, token) and 'o' or 'l')
  end
  clear()
  tellOthers(p, others)
  -- What this call itself made due belongs to it.
  fireTimers()
  finished.trim()
  local reply = { 'done', table.concat(outcomes), table.concat(cut, ' ') }
  -- It is refused before it has changed anything: what was settled stays so.
  if arg() == 'claim' then
    for _, part in ipairs(operations.claim()) do reply[#reply + 1] = part end
  end
  return reply
end
