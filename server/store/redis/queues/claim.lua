-- The operation that delivers jobs.

-- What a delivery has to know of a record, and what it writes anew.
local CLAIM = '<' .. LEASE .. 'I4d'
-- Jobs looked at beside those delivered: what expired, or is too large for the rest of the claim.
local CLEARED = 1000
-- Each tenth delivery takes the lowest sequence.
local OLDEST_EACH = 10

local function lowestSequence(key)
  local lowest, n
  for band = 0, 9 do
    local base = band * BAND
    local first = redis.call('ZRANGEBYSCORE', key, base, base + BAND - 1, 'WITHSCORES', 'LIMIT', 0, 1)
    if first[1] and (not lowest or tonumber(first[2]) - base < lowest) then
      lowest, n = tonumber(first[2]) - base, first[1]
    end
  end
  return n
end

-- How many deliveries a rate allows, by the time at which the next one is due if they came evenly.
local function rateOf(perSecond)
  local r = { interval = 1000 / perSecond, burst = math.max(1, perSecond / 10) }
  r.latest = now + r.burst * r.interval
  function r.allowed(usedTo)
    return math.floor((now - usedTo) / r.interval + r.burst + 1e-3)
  end
  -- When it allows one more than now.
  function r.nextAt(usedTo, allowed)
    return math.ceil(usedTo + r.interval * (allowed + 1 - r.burst - 1e-3))
  end
  return r
end

-- claim: part consumer session max bytes leaseMs capMs rate groupRate token policy
function operations.claim()
  local p = partOf(arg())
  local consumer, session, max, bytes = arg(), arg(), num(), num()
  local leaseMs, capMs, rate, groupRate, token = num(), num(), num(), num(), arg()
  readPolicy()
  local h = consumerOf(p, consumer)
  if not h then return { 'error', 'not_found' } end
  if tonumber(session) < tonumber(h.session) then return { 'error', 'taken_over' } end
  if session ~= h.session or not isAttached(h) then return { 'error', 'not_found' } end
  fireTimers()
  if p.paused == 1 then return { 'done', '0', '0', '' } end
  local room = life.room()
  if room == 0 then return { 'done', '0', '0', whole(now + life.MS) } end
  max = math.min(max, room)
  flush()

  local usedTo, allowed, ofQueue = 0, huge, rate > 0 and rateOf(rate)
  if ofQueue then
    -- A clock that went back, or a rate that was lower, does not hold up more than a burst.
    p.tat = math.min(p.tat, ofQueue.latest)
    usedTo = math.max(p.tat, now)
    allowed = ofQueue.allowed(usedTo)
  end
  local isGrouped = not p.dead and s.grouped == 1
  local ofGroup = isGrouped and groupRate > 0 and rateOf(groupRate)
  if isGrouped then groups.wakeBeyond(ofGroup and ofGroup.latest or now, CLEARED) end
  local function groupUsedTo(group)
    return math.max(math.min(group.rateAt, ofGroup.latest), now)
  end
  -- Its group has had its turn, with `count` jobs that stood in it.
  local function delivered(name, count)
    local rateAt, untilTime = 0, 0
    if ofGroup then
      rateAt = groupUsedTo(groups.of(name)) + ofGroup.interval
      local left = ofGroup.allowed(rateAt)
      if left < 1 then untilTime = ofGroup.nextAt(rateAt, left) end
    end
    groups.delivered(name, rateAt, untilTime, count)
  end

  local names, large = {}, {}
  local rows, held = {}, {}
  local size = 0
  local expiresAt, capAt = now + math.min(leaseMs, capMs), now + capMs
  local startedText = struct.pack('<d', now)
  local tailText, expiresText = token .. consumer, whole(expiresAt)
  -- Of those that say how long a run may take: their places in the answer, and how long.
  local runs = {}

  -- Takes a job, or says why not: it has to go to the dead letters, or does not fit.
  local function take(n, record)
    local _, suspect, _, _, deliveries, _, _, _, tokens, consumers, length, expAt = struct.unpack(CLAIM, record)
    if not p.dead then
      if expAt <= now then return 'expired' end
      -- The limit was higher when it failed last.
      local attempts = struct.unpack('<I4', record, ATTEMPTS_AT)
      if attempts >= policy.maxAttempts and attempts >= own.maxAttempts(decode(n, record)) then return 'failed' end
    end
    local total = length + family.bytes(n, record)
    if #names > 0 and size + total > bytes then return 'large' end
    size = size + total
    if length > SMALL then large[#large + 1] = n end
    s.serial = s.serial + 1
    local endsAt, cappedAt, capped, endsText = expiresAt, capAt, 0, expiresText
    local runMs = string.byte(record, DEAD_AT + 1) % own.FAMILY >= own.FLAG and own.runMs(n)
    if runMs then
      runs[#runs + 1] = #names
      runs[#runs + 1] = whole(runMs)
      if runMs <= capMs then
        cappedAt, capped = now + runMs, runMs <= leaseMs and 1 or 0
        endsAt = math.min(expiresAt, cappedAt)
        endsText = whole(endsAt)
        due(endsAt)
      end
    end
    local lease = struct.pack(
      '<' .. LEASE, HELD, suspect, 0, capped, deliveries + 1, s.serial, endsAt, cappedAt, #token, #consumer)
    if p.dead then
      record = lease .. string.sub(record, LEASE_SIZE + 1, -1 - tokens - consumers) .. tailText
    else
      record = lease .. string.sub(record, LEASE_SIZE + 1, SIZE_AT + 3) .. startedText
        .. string.sub(record, SIZE_AT + 12, -1 - tokens - consumers) .. tailText
    end
    records[n] = record
    p.deliveries = p.deliveries + 1
    if s.events == 1 and not p.dead then
      local j = decode(n, record)
      life.tell('started', idOf(j), { attempt = j.attempts + 1 })
    end
    names[#names + 1] = n
    rows[#rows + 1] = n
    rows[#rows + 1] = record
    held[#held + 1] = endsText
    held[#held + 1] = n
    return 'taken'
  end

  local hands = p.heldBy .. consumer
  local empty = redis.call('SCARD', hands) == 0
  local looked = 0
  local over = {}
  local function isOver(n, what)
    if what ~= 'expired' and what ~= 'failed' then return end
    over[#over + 1] = { n, what == 'expired' and what or 'max_attempts' }
  end
  local function clearAway()
    for i = 1, #over do
      local j = jobOf(over[i][1])
      deadLetter(j, over[i][2])
    end
    if #over > 0 then flush() end
    over = {}
  end

  if h.suspects == 0 and allowed > 0 then
    if empty then
      while looked < CLEARED do
        local n = p.deliveries % OLDEST_EACH == OLDEST_EACH - 1 and lowestSequence(p.suspects) or redis.call('ZRANGE', p.suspects, 0, 0)[1]
        if not n then break end
        local record = recordOf(n)
        redis.call('ZREM', p.suspects, n)
        looked = looked + 1
        local what = record and take(n, record)
        if what == 'taken' then
          h.suspects = h.suspects + 1
          if isGrouped then delivered(groups.nameOf(decode(n, records[n])), 0) end
          break
        end
        isOver(n, what)
        clearAway()
      end
    end
    local inTurns = isGrouped and #names == 0 and math.min(max, allowed) or 0
    while #names < inTurns and looked < CLEARED + inTurns do
      flush()
      local name = redis.call('ZRANGE', p.turns, 0, 0)[1]
      if not name then break end
      local group = groups.of(name)
      local left = ofGroup and ofGroup.allowed(groupUsedTo(group)) or 1
      looked = looked + 1
      if left < 1 then
        groups.change(name, function()
          group.rateAt = groupUsedTo(group)
          group.untilTime = ofGroup.nextAt(group.rateAt, left)
        end)
      else
        local key = p.group .. name
        local n = group.taken % OLDEST_EACH == OLDEST_EACH - 1 and lowestSequence(key) or redis.call('ZRANGE', key, 0, 0)[1]
        if not n then break end
        local record = recordOf(n)
        local what = record and take(n, record)
        if what == 'large' then break end
        redis.call('ZREM', key, n)
        redis.call('ZREM', p.grouped, n)
        if what == 'taken' then
          delivered(name, 1)
        else
          groups.change(name, function() group.count = group.count - 1 end)
        end
        isOver(n, what)
        clearAway()
      end
    end
    flush()
    local last = not isGrouped and #names == 0 and redis.call('ZRANGE', p.ready, -1, -1, 'WITHSCORES')[2]
    local wanted = last and math.min(max, allowed) or 0
    local isFull = false
    while #names < wanted and looked < CLEARED + wanted and not isFull do
      local room = wanted - #names
      local first = redis.call('ZRANGE', p.ready, 0, room - 1)
      if #first == 0 then break end
      fetch(first)
      -- In one priority all orders are the same.
      local head = records[first[1]]
      local mixed = not head or math.floor(tonumber(last) / BAND) ~= 9 - decode(first[1], head).priority
      local most = mixed and math.min(#first, OLDEST_EACH - 1 - p.deliveries % OLDEST_EACH) or #first
      if most == 0 then
        local n = lowestSequence(p.ready)
        if not n then break end
        local what = recordOf(n) and take(n, recordOf(n))
        looked = looked + 1
        isFull = what == 'large'
        if not isFull then redis.call('ZREM', p.ready, n) end
        isOver(n, what)
        clearAway()
      else
        local gone = 0
        for i = 1, most do
          local n = first[i]
          local what = records[n] and take(n, records[n])
          isFull = what == 'large'
          if isFull then break end
          gone = i
          isOver(n, what)
          looked = looked + 1
        end
        if gone > 0 then redis.call('ZREMRANGEBYRANK', p.ready, 0, gone - 1) end
        clearAway()
      end
    end
  end

  breaker.trip()
  if #names == 1 and empty then
    rows[2] = string.sub(rows[2], 1, 2) .. '\1' .. string.sub(rows[2], 4)
    records[names[1]] = rows[2]
  end
  if #names > 0 then
    many('HSET', JOBS, rows)
    many('ZADD', p.held, held)
    many('SADD', hands, names)
    due(expiresAt)
    h.lastSerial = s.serial
    putConsumer(p, consumer, h)
    if rate > 0 then
      usedTo = usedTo + #names * ofQueue.interval
      p.tat = usedTo
    end
  end
  local suspects = redis.call('ZCARD', p.suspects)
  local there = redis.call('ZCARD', p.ready) + suspects
  if not p.dead then there = there + redis.call('ZCARD', p.grouped) - s.resting end
  local waiting = math.max(0, math.min(there, allowed - #names))
  local delayed = math.min(firstScore(p.scheduled), firstScore(p.retrying), firstScore(p.resting))
  local nextAt = math.min(delayed, firstScore(p.held))
  if waiting < there then
    nextAt = math.min(nextAt, ofQueue.nextAt(usedTo, waiting))
  end
  if #names == 0 and allowed > 0 then
    mending.look(true)
    if mending.lost then nextAt = now end
  end
  -- What had to be cleared away first was too much for one call.
  if #names == 0 and looked >= CLEARED then nextAt = now end
  p.told = there > 0 and math.min(p.told, now) or delayed
  -- What came in this call is gone again: nobody has to be told but of what is due later.
  if p.tell and there == 0 then p.tell = delayed < huge and delayed or nil end
  if p.paused == 1 then
    waiting, suspects, nextAt = 0, 0, huge
  end
  -- Each with the length of its number, and its number, in front of its record; then how long runs may take, and the large
  -- bodies.
  local parts = {}
  for i = 1, #names do
    local n = names[i]
    parts[3 * i - 2], parts[3 * i - 1], parts[3 * i] = string.char(#n), n, rows[2 * i]
  end
  local reply = {
    'done', whole(waiting), whole(math.min(suspects, waiting)), timeText(math.max(now, nextAt)), table.concat(parts),
    table.concat(runs, ' '),
  }
  local bodies = valuesOf(BODIES, large)
  for i = 1, #large do reply[6 + i] = bodies[i] end
  for i = 1, #names do
    if family.isIn(rows[2 * i]) then reply[#reply + 1] = family.told(names[i]) end
  end
  return reply
end
