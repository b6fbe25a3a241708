-- What falls due by itself, a bounded number of each kind.

local TURNED = 100

-- What happens to jobs that fail. Arguments: maxAttempts deadMs backoffs
local function readPolicy()
  local maxAttempts, deadMs, text = num(), num(), arg()
  local delays
  policy = {
    maxAttempts = maxAttempts,
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
    due(firstScore(dead.expiring) + deadMs)
  end
end

local function overIn(key, time)
  flush()
  local entries = redis.call('ZRANGEBYSCORE', key, '-inf', time, 'WITHSCORES', 'LIMIT', 0, TURNED)
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

local function expire(p, n)
  local j = jobOf(n)
  if not j or j.state == HELD then
    unscore(p.expiring, n)
    return
  end
  unwait(p, j)
  if p.dead then
    removed(p, j)
  else
    bury(j, 'expired')
  end
end

local function fallsDue(p, member)
  local n = whole(tonumber(member))
  unscore(p.first, member)
  local j = jobOf(n)
  if not j then return end
  fallDue(p, j)
  put(j)
end

local function again(p, n)
  local j = jobOf(n)
  unscore(p.again, n)
  unscore(p.againPlaces, n)
  if not j then return end
  makeReady(p, j)
  put(j)
end

local function lapsed(p, n)
  local j = jobOf(n)
  if j then
    lose('L', p, j.holder)
    lapse(p, j)
  else
    unscore(p.held, n)
  end
end

local function reckon()
  flush()
  s.nextDue = math.min(
    nextOf(live), nextOf(dead), firstScore(live.expiring), firstScore(dead.expiring) + s.deadMs)
end

-- `true` when there is more to do at once.
local function turn()
  if now < s.nextDue then return false end
  for _, p in ipairs({ live, dead }) do
    for _, n in ipairs(overIn(p.held, now)) do lapsed(p, n) end
    flush()
    local members = redis.call('ZRANGEBYSCORE', p.first, '-inf', now, 'LIMIT', 0, TURNED)
    for _, member in ipairs(members) do fallsDue(p, member) end
    for _, n in ipairs(overIn(p.again, now)) do again(p, n) end
    for _, n in ipairs(overIn(p.expiring, p.dead and now - s.deadMs or now)) do expire(p, n) end
  end
  reckon()
  return s.nextDue <= now
end

local operations = {}

-- due: when there is something to do
function operations.due()
  reckon()
  return { 'done', timeText(s.nextDue) }
end

-- turn: part policy
function operations.turn()
  local p = partOf(arg())
  readPolicy()
  mending.look(true)
  local more = turn()
  reckon()
  return { 'done', more and '1' or '0', timeText(nextOf(p)) }
end
