-- The operation that ends or changes leases, and the memory of those that ended.

local CHUNK = 1024
local ENTRY = 8
local WORDS = { 'd', 'r', 'l', 'x', 'e' }
local DONE, RETRY, RELEASE, DEAD, EXTEND = 1, 2, 3, 4, 5
local SETTLEMENT = '<BddBc0Bc0I4c0I4c0'

-- Of a lease: how it ended, the end of its nonce, when. Those of one hand-out are the same.
local entries
local function entryOf(as, nonce)
  local ofKind = entries[as]
  if not ofKind then
    ofKind = {}
    entries[as] = ofKind
  end
  local entry = ofKind[nonce]
  if not entry then
    entry = WORDS[as] .. string.sub('....' .. nonce, -4) .. struct.pack('<I3', now % 16777216)
    ofKind[nonce] = entry
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
local function ended(serial, as, nonce)
  if serial < highestEnded then areSorted = false end
  highestEnded = serial
  endedSerials[#endedSerials + 1] = serial
  ends[serial] = entryOf(as, nonce)
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
local function endedSo(serial, as, nonce)
  local entry = ends[serial]
  if not entry then
    local chunk = math.floor(serial / CHUNK)
    local at = (serial - chunk * CHUNK) * ENTRY
    entry = redis.call('GETRANGE', ENDED .. whole(chunk), at, at + ENTRY - 1)
  end
  if #entry < ENTRY or as == EXTEND then return false end
  if string.sub(entry, 1, 5) ~= string.sub(entryOf(as, nonce), 1, 5) then return false end
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
  answer(j, reply == '' and 1 or 2, '', reply)
  vanish(p, j)
  p.done = p.done + 1
  if p.dead then live.done = live.done + 1 end
end

-- A lease that lapsed and is settled late: there is nothing to do but to end it, and the suspicion.
local function endLate(p, j)
  if j.suspect == 1 and j.state == READY then
    unwait(p, j)
    j.suspect = 0
    makeReady(p, j)
  end
  j.suspect, j.nonce = 0, ''
  put(j)
end

settlers[RETRY] = function(p, j, delayMs, why)
  if j.state ~= HELD then return endLate(p, j) end
  unhold(p, j)
  j.suspect = 0
  befall(j, 'retry', j.holder, why)
  j.nonce = ''
  fail(p, j, why, delayMs)
end

settlers[RELEASE] = function(p, j)
  if j.state == HELD then return release(p, j, true) end
  endLate(p, j)
end

settlers[DEAD] = function(p, j, _, why)
  -- It is where it belongs; handed out again at once it would go round without an end.
  if p.dead then return settlers[RETRY](p, j, -1, why) end
  local holder = j.holder
  if j.state == HELD then
    unhold(p, j)
  else
    unwait(p, j)
  end
  bury(j, 'rejected', why, holder)
end

settlers[EXTEND] = function(p, j, leaseMs)
  if j.state ~= HELD then
    if now >= j.capAt then return false end
    unwait(p, j)
    flush()
    j.state = HELD
    local h = holderOf(p, j.holder)
    if not h then
      -- One that was forgotten meanwhile. Its suspects have to be counted when it comes back.
      h = { session = '0', touchedAt = 0, attached = false, lastSerial = -1, suspects = 0 }
      forgetAt(now + TOUCH_MS, 'h' .. (p.dead and 'd' or 'm') .. j.holder)
    end
    -- Nobody is alone in hands that hold something already, or held another job since.
    if redis.call('SCARD', p.handsOf .. j.holder) > 0 or h.lastSerial ~= j.serial then j.alone = 0 end
    h.lastSerial = j.serial
    if j.suspect == 1 then h.suspects = h.suspects + 1 end
    putHolder(p, j.holder, h)
    noted(members, p.handsOf .. j.holder)[j.n] = true
  end
  j.capped = now + leaseMs >= j.capAt and 1 or 0
  j.expiresAt = math.min(now + leaseMs, j.capAt)
  score(p.held, j.n, j.expiresAt)
  due(j.expiresAt)
  put(j)
  return j.expiresAt < now + leaseMs and j.expiresAt or nil
end

-- Leases that were settled by somebody else than their holder, who has to hear of it.
local function tellOthers(p, others)
  for holder, leases in pairs(others) do
    local h = holderOf(p, holder)
    if h and isAttached(h) then
      tell('E', #leases, table.concat(leases, '\n'), holder)
    end
  end
end

-- settle: part policy by count settlements
-- Answer: a letter for each, and the times at which leases end whose extensions were cut.
function operations.settle()
  local p = partOf(arg())
  readPolicy()
  local settler, count, settlements = arg(), num(), arg()
  turn()
  local parsed, names = {}, {}
  local at = 1
  for i = 1, count do
    local each = { struct.unpack(SETTLEMENT, settlements, at) }
    parsed[i] = each
    names[i] = each[4]
    at = each[8]
  end
  fetch(names)
  local byte, sub, pack = string.byte, string.sub, struct.pack
  local outcomes = {}
  local isDead = p.dead and 1 or 0
  -- What is done leaves all lists of its queue alike, and together.
  local gone, large, hands, holder = {}, {}, {}, nil
  local others, cut = {}, {}
  local function clear()
    if #gone == 0 then return end
    for _, key in ipairs({ p.held, p.expiring }) do many('ZREM', key, gone) end
    many('HDEL', JOBS, gone)
    many('HDEL', BODIES, large)
    for by, names in pairs(hands) do many('SREM', p.handsOf .. by, names) end
    gone, large, hands, holder = {}, {}, {}, nil
  end
  local leaving
  for i = 1, count do
    local each = parsed[i]
    local as, serial, value, n, nonce, id, extra = each[1], each[2], each[3], each[4], each[5], each[6], each[7]
    local record = records[n]
    local outcome
    if record then
      local nonces, low, high = byte(record, NONCE_AT, NONCE_AT + 2)
      local last = #record - nonces - low - 256 * high
      if nonces > 0 and sub(record, last + 1, last + nonces) == nonce
        and sub(record, last - #id + 1, last) == id
        and sub(record, SERIAL_AT, SERIAL_AT + 7) == pack('<d', serial)
        and byte(record, DEAD_AT) == isDead then
        outcome = 'o'
        local state, suspect = byte(record, 1, 2)
        local inDead, history, named, request = byte(record, DEAD_AT, DEAD_AT + 3)
        local by = sub(record, last + nonces + 1)
        if state == HELD and by ~= settler and as ~= EXTEND then
          others[by] = others[by] or {}
          table.insert(others[by], n .. '.' .. whole(serial) .. '.' .. nonce)
        end
        -- The most common way to end needs none of the rest of the record.
        if as == DONE and state == HELD and suspect + inDead + history + named + request == 0
          and not changedRecords[n] and sub(record, KEY_LENGTH_AT, KEY_LENGTH_AT + 3) == NO_LENGTH then
          if by ~= holder then
            holder = by
            leaving = hands[by] or {}
            hands[by] = leaving
          end
          leaving[#leaving + 1] = n
          gone[#gone + 1] = n
          records[n] = false
          local a, b, c, d = byte(record, SIZE_AT, SIZE_AT + 3)
          local size = a + 256 * b + 65536 * c + 16777216 * d
          if size > SMALL then large[#large + 1] = n end
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
        if as ~= EXTEND then ended(serial, as, nonce) end
      end
    end
    outcomes[i] = outcome or (endedSo(serial, as, nonce) and 'o' or 'l')
  end
  clear()
  tellOthers(p, others)
  -- What this call itself made due belongs to it.
  turn()
  return { 'done', table.concat(outcomes), table.concat(cut, ' ') }
end
