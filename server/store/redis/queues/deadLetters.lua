-- The way of a job out of its queue: into the dead letters, or away.

-- The job is taken from the queue for good; it is in no state any more.
local function remove(p, j)
  leaveLine(p, j)
  unscore(p.expiries, j.n)
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

local function removeJob(p, j)
  remove(p, j)
  forgetIdOf(j)
  p.removed = p.removed + 1
  if p.dead then live.removed = live.removed + 1 end
end

-- Into the dead letters. It is in no state any more.
local function enterDeadLetters(j, reason, why)
  field(DEATHS, j.n, cjson.encode({ reason, now, why or '' }))
  j.dead, j.state, j.suspect, j.token, j.consumer = 1, READY, 0, '', ''
  dead.lastSequence = dead.lastSequence + 1
  j.sequence, j.dueAt, j.expAt = dead.lastSequence, now, now
  dead.sent = dead.sent + 1
  dead.count = dead.count + 1
  dead.bytes = dead.bytes + j.size
  makeReady(dead, j)
  put(j)
  lose('D', live, reason)
end
local function deadLetter(j, reason, why, consumer)
  leaveLine(live, j)
  unscore(live.expiries, j.n)
  live.count = live.count - 1
  live.bytes = live.bytes - j.size
  keepAnswer(j, why and why ~= '' and 4 or 3, reason, why or '')
  note(j, 'dead', consumer, why and why ~= '' and why or reason)
  enterDeadLetters(j, reason, why)
end
