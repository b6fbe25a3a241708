-- How jobs change their state.

-- Takes a held job out of its holder's hands, into no state yet.
local function unhold(p, j)
  unscore(p.held, j.n)
  noted(members, p.handsOf .. j.holder)[j.n] = false
  if j.suspect == 1 then
    local h = holderOf(p, j.holder)
    if h then
      h.suspects = math.max(0, h.suspects - 1)
      putHolder(p, j.holder, h)
    end
  end
end

-- Into `ready`, where it is the first of its key's line or has none.
local function makeReady(p, j)
  j.state = READY
  score(j.suspect == 1 and p.suspects or p.ready, j.n, (9 - j.priority) * BAND + j.place)
  score(p.expiring, j.n, j.expAt)
  due(p.dead and j.expAt + s.deadMs or j.expAt)
  works(p, now)
end

-- It is due then, and how long it may wait counts from there.
local function dueAt(p, j, at)
  j.dueAt = at
  if not p.dead then j.expAt = math.min(at + j.ttlMs, j.request == REQUEST and j.replyBy or huge) end
end

-- Into `ready`, or into `again` where its time is still to come.
local function comeAgain(p, j, delay)
  dueAt(p, j, now + delay)
  if delay <= 0 then
    makeReady(p, j)
  else
    j.state = AGAIN
    score(p.again, j.n, j.dueAt)
    score(p.againPlaces, j.n, j.place)
    score(p.expiring, j.n, j.expAt)
    due(p.dead and j.dueAt or math.min(j.dueAt, j.expAt))
    works(p, j.dueAt)
  end
  put(j)
end

-- Gives a job its place, and with it its place in the line of its key.
local function fallDue(p, j)
  p.places = p.places + 1
  j.place = p.places
  dueAt(p, j, j.dueAt)
  if j.key ~= '' and not p.dead then
    if fieldOf(HEADS, j.key) then
      j.state = BEHIND
      score(p.behind, j.n, j.place)
      score(p.line .. j.key, j.n, j.place)
      score(p.expiring, j.n, j.expAt)
      due(j.expAt)
      return
    end
    field(HEADS, j.key, j.n)
  end
  makeReady(p, j)
end

-- Takes a job that waits out of its state.
local function unwait(p, j)
  if j.state == READY then
    unscore(j.suspect == 1 and p.suspects or p.ready, j.n)
  elseif j.state == BEHIND then
    unscore(p.behind, j.n)
    unscore(p.line .. j.key, j.n)
  elseif j.state == AGAIN then
    unscore(p.again, j.n)
    unscore(p.againPlaces, j.n)
  elseif j.state == FIRST then
    unscore(p.first, string.format('%014.0f', j.n))
  end
end

-- A job that leaves the queue makes the next one of its key the first.
local function leaveLine(p, j)
  if j.key == '' or p.dead or j.state == BEHIND or j.state == FIRST then return end
  flush()
  local following = redis.call('ZPOPMIN', p.line .. j.key)[1]
  if not following then
    field(HEADS, j.key, false)
    return
  end
  field(HEADS, j.key, following)
  unscore(p.behind, following)
  local first = jobOf(following)
  if first then
    makeReady(p, first)
    put(first)
  end
end

-- Requests.
local function answer(j, code, reason, content)
  if j.request ~= REQUEST or j.dead == 1 then return end
  local id = idOf(j)
  if j.replyBy > now then
    redis.call('HSET', ANSWERS, id, struct.pack('<dBB', j.replyBy, code, #reason) .. reason .. content)
    forgetAt(j.replyBy, 'r' .. id)
  end
  tell('R', id)
end

-- The job is taken from the queue for good; it is in no state any more.
local function vanish(p, j)
  leaveLine(p, j)
  unscore(p.expiring, j.n)
  if j.history == 1 then field(HISTORY, j.n, false) end
  if p.dead then field(DEATHS, j.n, false) end
  if j.named == 1 then field(NAMES, j.id, false) end
  if j.size > SMALL then field(BODIES, j.n, false) end
  setRecord(j.n, false)
  p.count = p.count - 1
  p.bytes = p.bytes - j.size
end
-- What the sender gives the id of a removed job to next is a new one.
local function forgetIdOf(j)
  if j.named == 0 then return end
  local hash, ending = tag .. 'ids:' .. j.subject, '~' .. j.n
  local given = j.id
  while true do
    local text = redis.call('HGET', hash, given)
    -- It may have been given to another job since.
    if text and string.match(text, '^%d+ %d+ (.*)$') == '=' .. j.id then
      redis.call('HDEL', hash, given)
      return
    end
    if string.sub(given, -#ending) ~= ending then return end
    given = string.sub(given, 1, -1 - #ending)
  end
end

local function removed(p, j)
  vanish(p, j)
  forgetIdOf(j)
  p.removed = p.removed + 1
  if p.dead then live.removed = live.removed + 1 end
end

-- Into the dead letters. It is in no state any more.
local function buried(j, reason, why)
  field(DEATHS, j.n, cjson.encode({ reason, now, why or '' }))
  j.dead, j.state, j.suspect, j.nonce, j.holder = 1, READY, 0, '', ''
  dead.places = dead.places + 1
  j.place, j.dueAt, j.expAt = dead.places, now, now
  dead.sent = dead.sent + 1
  dead.count = dead.count + 1
  dead.bytes = dead.bytes + j.size
  makeReady(dead, j)
  put(j)
  lose('D', live, reason)
end
local function bury(j, reason, why, holder)
  leaveLine(live, j)
  unscore(live.expiring, j.n)
  live.count = live.count - 1
  live.bytes = live.bytes - j.size
  answer(j, why and why ~= '' and 4 or 3, reason, why or '')
  befall(j, 'dead', holder, why and why ~= '' and why or reason)
  buried(j, reason, why)
end

-- A failure: another attempt later, or the end.
local function fail(p, j, why, delayMs)
  j.attempts = j.attempts + 1
  if not p.dead and j.attempts >= policy.maxAttempts then return bury(j, 'max_attempts', why, j.holder) end
  comeAgain(p, j, delayMs >= 0 and delayMs or policy.backoff(j.attempts))
end
local function isAlone(p, j)
  if j.alone == 0 then return false end
  local h = holderOf(p, j.holder)
  return not h or h.lastSerial == j.serial
end
local function lapse(p, j)
  unhold(p, j)
  tellLapsed(j)
  -- One that ends before its cap does so for another reason.
  if (j.capped == 1 and now >= j.capAt) or isAlone(p, j) then
    befall(j, 'lapsed', j.holder)
    return fail(p, j, nil, -1)
  end
  j.suspect = 1
  befall(j, 'suspect', j.holder)
  comeAgain(p, j, 0)
end

-- See releases.ts.
local PAUSE_MS, LONGEST_PAUSE_MS = 100, 5000
local function pauseOf(j)
  if j.history == 0 then return 0 end
  local list = cjson.decode(redis.call('HGET', HISTORY, j.n) or '[]')
  -- What stands behind a `#` in the name of a client is new with each connection or claim.
  local name, before = string.gsub(j.holder, '#[^%z]*$', ''), 0
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
  befall(j, 'release', j.holder)
  j.nonce, j.holder = '', ''
  if behind then
    p.places = p.places + 1
    j.place = p.places
  end
  comeAgain(p, j, pause)
end
