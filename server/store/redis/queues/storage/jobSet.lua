-- How jobs change their state.

-- Takes a held job out of its consumer's hands, into no state yet.
local function unhold(p, j)
  unscore(p.held, j.n)
  noted(members, p.heldBy .. j.consumer)[j.n] = false
  if j.suspect == 1 then
    local h = consumerOf(p, j.consumer)
    if h then
      h.suspects = math.max(0, h.suspects - 1)
      putConsumer(p, j.consumer, h)
    end
  end
end

-- Into `ready`, where it is the first of its key's line or has none.
local function makeReady(p, j)
  j.state = READY
  if j.suspect == 0 and not p.dead and s.grouped == 1 then
    groups.enter(j)
  else
    score(j.suspect == 1 and p.suspects or p.ready, j.n, groups.rankOf(j))
  end
  score(p.expiries, j.n, j.expAt)
  due(p.dead and j.expAt + s.deadMs or j.expAt)
  works(p, now)
end

-- It is due then, and how long it may wait counts from there.
local function dueAt(p, j, at)
  j.dueAt = at
  if not p.dead then j.expAt = math.min(at + j.ttlMs, j.request == REQUEST and j.replyBy or huge) end
end

local function makeRetrying(p, j)
  j.state = RETRYING
  score(p.retrying, j.n, j.dueAt)
  score(p.retryingBySequence, j.n, j.sequence)
  score(p.expiries, j.n, j.expAt)
  due(p.dead and j.dueAt or math.min(j.dueAt, j.expAt))
end

local function makeBlocked(p, j)
  j.state = BLOCKED
  score(p.blocked, j.n, j.sequence)
  score(p.line .. j.key, j.n, j.sequence)
  score(p.expiries, j.n, j.expAt)
  due(j.expAt)
end

-- Into `ready`, or into `again` where its time is still to come.
local function readyAfter(p, j, delay)
  dueAt(p, j, now + delay)
  if delay <= 0 then
    makeReady(p, j)
  else
    makeRetrying(p, j)
    works(p, j.dueAt)
  end
  put(j)
end

-- Gives a job its place, and with it its place in the line of its key.
local function fallDue(p, j)
  p.lastSequence = p.lastSequence + 1
  j.sequence = p.lastSequence
  dueAt(p, j, j.dueAt)
  if j.key ~= '' and not p.dead then
    if fieldOf(HEADS, j.key) then return makeBlocked(p, j) end
    field(HEADS, j.key, j.n)
  end
  makeReady(p, j)
end

-- Takes a job that waits out of its state.
local function unwait(p, j)
  if j.state == READY then
    if j.suspect == 0 and groups.has(p, j) then
      groups.leave(j)
    else
      unscore(j.suspect == 1 and p.suspects or p.ready, j.n)
    end
  elseif j.state == BLOCKED then
    unscore(p.blocked, j.n)
    unscore(p.line .. j.key, j.n)
  elseif j.state == RETRYING then
    unscore(p.retrying, j.n)
    unscore(p.retryingBySequence, j.n)
  elseif j.state == SCHEDULED then
    unscore(p.scheduled, string.format('%014.0f', j.n))
  elseif j.state == family.WAITING then
    unscore(p.waiting, j.n)
  end
end

-- A job that leaves the queue makes the next one of its key the first.
local function leaveLine(p, j)
  if j.key == '' or p.dead or j.state == BLOCKED or j.state == SCHEDULED or j.state == family.WAITING then return end
  flush()
  local following = redis.call('ZPOPMIN', p.line .. j.key)[1]
  if not following then
    field(HEADS, j.key, false)
    return
  end
  field(HEADS, j.key, following)
  unscore(p.blocked, following)
  local first = jobOf(following)
  if first then
    makeReady(p, first)
    put(first)
  end
end
