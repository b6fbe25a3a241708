-- What both scripts of a queue know: its keys, its figures, the record of a job. All keys have the queue's tag, those of
-- its dead letters `dead:` behind it.
--
-- <tag>meta       figures of the queue and of its dead letters, packed
-- <tag>jobs       hash: a job's record by its number · `bodies` its body where it is large · `history`, `deaths` what
--                 happened to it, as JSON · `policies` what a few have in place of the policy, see jobPolicy.lua
--                 · `progress` what their consumers told, see progress.lua
-- <tag>names      hash: numbers of the jobs with ids of their senders' choice; in other ids the number is written
-- <tag>ready      numbers by (9 - priority) * 2^49 + sequence: what can be delivered · `suspects` likewise
-- <tag>behind     blocked, numbers by sequence: what waits behind another job of its key · `line:<key>` those of one key
-- <tag>grouped    numbers by sequence: what can be delivered and stands in a group · `group:<name>` those of one, as `ready`
-- <tag>turns      groups by turn · `resting` those that have used up their rate, by the time at which they may go on
-- <tag>groups     hash: `count turn until rateAt taken` by group · `remembered` those without jobs, until they are forgotten
-- <tag>outcomes   how jobs ended in the last minute: the part of ten seconds, then of six parts those done and those dead
-- <tag>life       list: what happened to jobs and is not moved yet · `lifeRow` the name of the row of their numbers in the topic
-- <tag>lifeName   string: the name of the row of all their numbers
-- <tag>heads      hash: the first job of a key's line, by key
-- <tag>first      scheduled, numbers in fixed width by due time: not due yet for the first time
-- <tag>again      retrying, numbers by due time: to be tried again · `againPlaces` the same by sequence
-- <tag>waiting    numbers by themselves: what waits for its children, see children.lua for `family` and `children`
-- <tag>held       numbers by the time at which the lease lapses · `hands:<consumer>` those of one consumer
-- <tag>expiring   expiries, numbers by the time at which they expire; of dead letters, at which they came
-- <tag>holders    consumers, hash: `session touchedAt attached lastSerial suspects` by name · `present` attached ones by touchedAt
-- <tag>ended:<n>  how leases ended: 8 bytes for each serial, 1,024 of them
-- <tag>finished   hash: what is kept of finished jobs by their numbers · `finished:done`, `finished:removed` numbers in fixed
--                 width by when they are forgotten · `finished:names` numbers by ids of their senders' choice
--                 · `finished:bytes` how much there is, by how they ended
-- <tag>awaits     hash: until when somebody waits for the end of a job, by its number
-- <tag>answers    hash: what became of requests · `bindings` hash: `epoch offset` by topic

-- `whole` for many numbers: neighbours share all but their last digits. Numbers that are handed over as such are
-- written by the server, which takes several times as long.
local endings = {}
local beginningsOf
local function digits(number)
  local high = math.floor(number / 1000)
  if high < 1 or number == huge then return whole(number) end
  local text = beginningsOf[high]
  if not text then
    text = whole(high)
    beginningsOf[high] = text
  end
  local low = number - high * 1000
  local ending = endings[low]
  if not ending then
    ending = string.format('%03d', low)
    endings[low] = ending
  end
  return text .. ending
end

local BAND = 2 ^ 49
local TOUCH_MS = 60000

-- The states of a job.
local SCHEDULED, READY, HELD, RETRYING, BLOCKED = 0, 1, 2, 3, 4

-- Whether a job is a request, or was sent anew from the dead letters.
local REQUEST, REDRIVEN = 1, 2

-- A record: what a delivery changes, then what it does not, then the body where it is small, key, subject, id, and the
-- lease's token and consumer. Of what was redriven, `replyBy` is when. While a job of the queue itself is held, `expAt` is
-- when its run began. The id of a job without a sender's own is kept as the token behind its number.
local LEASE = 'BBBBI4dddBI2'
local BEFORE_SEQUENCE, AFTER_SEQUENCE = 'I4dBBBBBI4', 'ddddI4I4I4'
local REST = BEFORE_SEQUENCE .. 'd' .. AFTER_SEQUENCE
local RECORD = '<' .. LEASE .. REST
local LEASE_SIZE, RECORD_SIZE = 35, 108
-- Where some of it stands: the lease's serial, the lengths of its token and consumer, the body's size, `dead` and the
-- three behind it, the key's length.
local SERIAL_AT, TOKEN_AT, SIZE_AT, DEAD_AT, ATTEMPTS_AT, KEY_LENGTH_AT = 9, 33, 36, 48, 53, RECORD_SIZE - 11
local NO_LENGTH = '\0\0\0\0'
-- The largest body that is kept in its record: a delivery writes that anew.
local SMALL = 256

-- The length of a key that a group stands behind, where the job has one of its own.
local GROUPED = 2 ^ 31
local function keyOf(text)
  local length = struct.unpack('<I4', text)
  return string.sub(text, 5, 4 + length), string.sub(text, 5 + length)
end

-- Of jobs that have some of the policy by themselves, of those with children or a parent, and of those whose consumers have told
-- something; they stand in the record with the `history`. See jobPolicy.lua, children.lua and progress.lua.
local own = { FLAG = 2, FAMILY = 4, PROGRESS = 8 }

local function decode(n, record)
  local j = { n = n }
  local keys, subjects, ids, tokens, consumers
  j.state, j.suspect, j.alone, j.capped, j.deliveries, j.serial, j.expiresAt, j.capAt, tokens, consumers,
    j.size, j.expAt, j.dead, j.history, j.named, j.request, j.priority, j.attempts,
    j.sequence, j.sentAt, j.dueAt, j.replyBy, j.ttlMs, keys, subjects, ids = struct.unpack(RECORD, record)
  if j.history >= own.PROGRESS then j.history, j.progress = j.history - own.PROGRESS, true end
  if j.history >= own.FAMILY then j.history, j.family = j.history - own.FAMILY, true end
  if j.history >= own.FLAG then j.history, j.own = j.history - own.FLAG, true end
  local at = RECORD_SIZE
  if j.size <= SMALL then
    j.body = string.sub(record, at + 1, at + j.size)
    at = at + j.size
  else
    j.body = ''
  end
  local hasGroup = keys >= GROUPED
  if hasGroup then keys = keys - GROUPED end
  j.key = string.sub(record, at + 1, at + keys)
  if hasGroup then j.key, j.group = keyOf(j.key) end
  at = at + keys
  j.subject = string.sub(record, at + 1, at + subjects)
  at = at + subjects
  j.id = string.sub(record, at + 1, at + ids)
  at = at + ids
  j.token = string.sub(record, at + 1, at + tokens)
  j.consumer = string.sub(record, at + tokens + 1, at + tokens + consumers)
  return j
end

local DIGITS = '0123456789abcdefghijklmnopqrstuvwxyz'
local function idOf(j)
  if j.named == 1 then return j.id end
  local n, text = tonumber(j.n), ''
  repeat
    local digit = n % 36
    text = string.sub(DIGITS, digit + 1, digit + 1) .. text
    n = (n - digit) / 36
  until n == 0
  return text .. '-' .. j.id
end

-- Figures: those of all, then those of the queue and those of its dead letters.
local COMMON = { 'born', 'number', 'serial', 'session', 'nextTimer', 'deadMs' }
local FIGURES = { 'sent', 'done', 'removed', 'count', 'bytes', 'lastSequence', 'deliveries', 'tat', 'paused', 'told' }
-- Figures that came with later versions: those before wrote none.
local LATER = {
  'grouped', 'resting', 'lastTurn', 'trippedAt', 'trippedDead', 'trippedEnded', 'events', 'lifeFirst', 'lifeNext', 'lifeBase',
  'lifeAt', 'lifeBytes',
}
local META = '<B'
for _ = 1, #COMMON + 2 * #FIGURES do META = META .. 'd' end
local META_SIZE = 1 + 8 * (#COMMON + 2 * #FIGURES)

-- The lists of a queue, each with its name in keys.
local LISTS = {
  ready = 'ready', suspects = 'suspects', blocked = 'behind', scheduled = 'first', retrying = 'again',
  retryingBySequence = 'againPlaces', grouped = 'grouped', turns = 'turns', resting = 'resting',
  remembered = 'remembered', groups = 'groups', waiting = 'waiting', held = 'held', expiries = 'expiring', consumers = 'holders', present = 'present',
}

local function partAt(prefix, isDead)
  local p = { dead = isDead }
  for list, name in pairs(LISTS) do p[list] = prefix .. name end
  p.line, p.heldBy, p.group = prefix .. 'line:', prefix .. 'hands:', prefix .. 'group:'
  return p
end

-- What is kept of a finished job, by how it ended; then its key, subject and id, its result, the error, the history.
local finished = { ROW = '<BBBddddI4I4I4I4I4I4I4I4', SIZE = 67, DONE = 1, REMOVED = 2 }
-- A number as it stands in the lists: of equal times in their order.
function finished.name(n)
  return string.sub('00000000000000' .. n, -14)
end
-- Its id, and when it is forgotten.
function finished.idIn(row)
  local _, _, _, _, _, _, over, _, _, keys, subjects, ids = struct.unpack(finished.ROW, row)
  local at = finished.SIZE + keys + subjects
  return string.sub(row, at + 1, at + ids), over
end

local s = {}
local live, dead
local JOBS, BODIES, NAMES, HISTORY, DEATHS, HEADS, ANSWERS, BINDINGS, ENDED
local named
local function name()
  named = tag
  live, dead = partAt(tag, false), partAt(tag .. 'dead:', true)
  JOBS, BODIES, NAMES = tag .. 'jobs', tag .. 'bodies', tag .. 'names'
  HISTORY, DEATHS, HEADS = tag .. 'history', tag .. 'deaths', tag .. 'heads'
  ANSWERS, BINDINGS, ENDED = tag .. 'answers', tag .. 'bindings', tag .. 'ended:'
  finished.key, finished.names, finished.sizes = tag .. 'finished', tag .. 'finished:names', tag .. 'finished:bytes'
  finished.awaits = tag .. 'awaits'
  own.key, own.progressKey = tag .. 'policies', tag .. 'progress'
  finished.by = { tag .. 'finished:done', tag .. 'finished:removed' }
end

-- Figures that are gone, or cut off, begin anew: see queues/mend.lua.
local stored
beginnings[#beginnings + 1] = function()
  beginningsOf = {}
  if named ~= tag then name() end
  stored = redis.call('GET', KEYS[1])
  for i, name in ipairs(LATER) do
    local at = META_SIZE + 8 * (i - 1)
    s[name] = stored and #stored >= at + 8 and struct.unpack('<d', stored, at + 1) or 0
  end
  if not stored or #stored < META_SIZE or (#stored - META_SIZE) % 8 ~= 0 then
    for _, name in ipairs(COMMON) do s[name] = 0 end
    s.nextTimer = huge
    s.deadMs = 1209600000
    for _, p in ipairs({ live, dead }) do
      for _, name in ipairs(FIGURES) do p[name] = 0 end
      p.told = huge
    end
    return
  end
  local values = { struct.unpack(META, stored) }
  for i = 1, #COMMON do s[COMMON[i]] = values[i + 1] end
  local at = #COMMON + 1
  for i = 1, #FIGURES do live[FIGURES[i]], dead[FIGURES[i]] = values[at + i], values[at + #FIGURES + i] end
end

local function partOf(word)
  return word == 'd' and dead or live
end

-- The record with this id: by the sender's name for it, or by the number in it.
local function resolve(id, n, token, recordOf)
  local number = redis.call('HGET', NAMES, id)
  if number then return number, recordOf(number) end
  if n == '' then return nil end
  local record = recordOf(n)
  if not record then return nil end
  local j = decode(n, record)
  if j.named == 1 or j.id ~= token then return nil end
  return n, record
end

-- When something may be claimed that cannot now.
local function nextOf(p)
  return math.min(firstScore(p.scheduled), firstScore(p.retrying), firstScore(p.held), firstScore(p.resting))
end
