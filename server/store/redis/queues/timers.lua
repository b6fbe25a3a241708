-- What falls due by itself, a bounded number of each kind.

local PART = 100
-- Jobs that take over another order of deliveries.
local REGROUPED = 1000

local function orderBy(grouped)
  if s.grouped == grouped then return end
  s.grouped = grouped
  due(now)
end

-- What happens to jobs that fail. Arguments: maxAttempts deadMs backoffs grouped keep share min events; no breaker has share 0
local function readPolicy()
  local maxAttempts, deadMs, text = num(), num(), arg()
  orderBy(num())
  local keep = arg()
  local delays
  local share, min = num(), num()
  s.events = num()
  policy = {
    maxAttempts = maxAttempts, share = share > 0 and share or nil, min = min,
    keep = finished.keepOf(keep),
    backoff = function(attempts)
      if not delays then
        delays = {}
        for delay in string.gmatch(text, '%S+') do delays[#delays + 1] = tonumber(delay) end
      end
      return delays[math.min(attempts, #delays)]
    end,
  }
  if s.deadMs ~= deadMs then
    s.deadMs = deadMs
    due(firstScore(dead.expiries) + deadMs)
  end
end

-- What falls due, by kind.
local falling = {}

-- A failure: another attempt later, or the end.
local function fail(p, j, why, delayMs)
  j.attempts = j.attempts + 1
  local isLast = not p.dead and j.attempts >= own.maxAttempts(j)
  if isLast then
    life.failed(j, why or 'lapsed', true)
    return deadLetter(j, 'max_attempts', why, j.consumer)
  end
  readyAfter(p, j, delayMs >= 0 and delayMs or own.backoff(j))
  if not p.dead then life.failed(j, why or 'lapsed', false) end
end
function falling.isAlone(p, j)
  if j.alone == 0 then return false end
  local h = consumerOf(p, j.consumer)
  return not h or h.lastSerial == j.serial
end
local function lapse(p, j)
  unhold(p, j)
  tellLapsed(j)
  -- One that ends before its cap does so for another reason.
  local isAtCap = j.capped == 1 and now >= j.capAt
  if isAtCap or falling.isAlone(p, j) then
    local why = isAtCap and own.overrun(p, j) or nil
    note(j, 'lapsed', j.consumer, why)
    return fail(p, j, why, -1)
  end
  j.suspect = 1
  note(j, 'suspect', j.consumer)
  readyAfter(p, j, 0)
  life.retrying(p, j)
end

function falling.overIn(key, time)
  flush()
  local entries = redis.call('ZRANGEBYSCORE', key, '-inf', time, 'WITHSCORES', 'LIMIT', 0, PART)
  local found, names = {}, {}
  for i = 1, #entries, 2 do found[#found + 1] = { entries[i], tonumber(entries[i + 1]) } end
  -- At the same time by number, not by its text.
  table.sort(found, function(a, b)
    if a[2] ~= b[2] then return a[2] < b[2] end
    return tonumber(a[1]) < tonumber(b[1])
  end)
  for i, entry in ipairs(found) do names[i] = entry[1] end
  fetch(names)
  return names
end

function falling.expire(p, n)
  local j = jobOf(n)
  if not j or j.state == HELD then
    unscore(p.expiries, n)
    return
  end
  unwait(p, j)
  if p.dead then
    removeJob(p, j)
  else
    deadLetter(j, 'expired')
  end
end

function falling.fallsDue(p, member)
  local n = whole(tonumber(member))
  unscore(p.scheduled, member)
  local j = jobOf(n)
  if not j then return end
  fallDue(p, j)
  put(j)
end

function falling.retry(p, n)
  local j = jobOf(n)
  unscore(p.retrying, n)
  unscore(p.retryingBySequence, n)
  if not j then return end
  makeReady(p, j)
  put(j)
end

function falling.lapsed(p, n)
  local j = jobOf(n)
  if j then
    lose('L', p, j.consumer)
    lapse(p, j)
  else
    unscore(p.held, n)
  end
end

local function setNextTimer()
  flush()
  local expiresAt = math.min(firstScore(live.expiries), firstScore(dead.expiries) + s.deadMs)
  -- How many they are, nobody knows: there is no room to tell of them.
  if life.room() == 0 then expiresAt = math.max(expiresAt, now + life.MS) end
  s.nextTimer = math.min(
    nextOf(live), nextOf(dead), expiresAt,
    firstScore(live.remembered), groups.isMixed() and 0 or huge, s.lifeAt > 0 and s.lifeAt or huge)
end

-- `true` when there is more to do at once.
local function fireTimers()
  if now < s.nextTimer then
    breaker.trip()
    return false
  end
  groups.regroup(REGROUPED)
  for _, p in ipairs({ live, dead }) do
    for _, n in ipairs(falling.overIn(p.held, now)) do falling.lapsed(p, n) end
    flush()
    local members = redis.call('ZRANGEBYSCORE', p.scheduled, '-inf', now, 'LIMIT', 0, PART)
    for _, member in ipairs(members) do falling.fallsDue(p, member) end
    for _, n in ipairs(falling.overIn(p.retrying, now)) do falling.retry(p, n) end
    if life.room() > 0 then
      for _, n in ipairs(falling.overIn(p.expiries, p.dead and now - s.deadMs or now)) do falling.expire(p, n) end
    end
  end
  groups.wake(PART)
  breaker.trip()
  finished.trim()
  life.fire()
  setNextTimer()
  return s.nextTimer <= now
end

-- due: when there is something to do
function operations.due()
  setNextTimer()
  return { 'done', timeText(s.nextTimer) }
end

-- fireTimers: part policy
function operations.fireTimers()
  local p = partOf(arg())
  readPolicy()
  mending.look(true)
  local more = fireTimers()
  setNextTimer()
  return { 'done', more and '1' or '0', timeText(nextOf(p)) }
end
