-- What every script begins with: its arguments, the clock, numbers as texts, the look at whether its keys are all here.
--
-- A text is loaded once as a library and called often, or run as a whole for one call where that cannot be: what belongs
-- to one call is set anew in its beginning, here and by `beginnings`, in the order of the files.

local KEYS, ARGV, argi
local tag, now
local beginnings = {}

-- No name of Lua's own can be used while a library is loaded.
local huge = 1 / 0

local function arg()
  argi = argi + 1
  return ARGV[argi]
end
local function num()
  return tonumber(arg())
end

local function whole(number)
  return string.format('%.0f', number)
end
local function timeText(time)
  return time < huge and whole(time) or ''
end

local function microseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000000 + tonumber(time[2])
end

local function firstScore(key)
  local first = redis.call('ZRANGE', key, 0, 0, 'WITHSCORES')
  return first[2] and tonumber(first[2]) or huge
end

-- A command over any number of arguments, in parts that Lua can hand over; an even number of them belong together.
local PART_SIZE = 3000
local function many(command, key, args)
  local count = #args
  if count == 0 then return end
  if count <= PART_SIZE then
    redis.call(command, key, unpack(args))
    return
  end
  for i = 1, count, PART_SIZE do
    redis.call(command, key, unpack(args, i, math.min(i + PART_SIZE - 1, count)))
  end
end

-- An error where the call cannot be done. All keys have the tag of the first one.
local function begin(keys, args)
  KEYS, ARGV, argi = keys, args, 0
  tag = string.sub(KEYS[1], 1, -5)
  -- A test's own time, or the server's.
  local given = arg()
  now = given ~= '' and tonumber(given) or math.floor(microseconds() / 1000)
  -- While its slot moves to another server, some of the keys are here and some are there, and neither place can tell a
  -- key that is elsewhere from one that never was. Two that never are give it away.
  local here = redis.pcall('EXISTS', tag .. '?', tag .. '??')
  if type(here) == 'table' and here.err then
    if not string.find(here.err, 'non local key', 1, true) then return here end
    return redis.error_reply('TRYAGAIN the keys are being moved to another server')
  end
  for i = 1, #beginnings do beginnings[i]() end
end

-- The operations of a call, in their order, until one needs what the caller has to do first: what that is, and the
-- outcomes of those before; `again` where those behind one need a call of their own.
local operations = {}
local function operate()
  local outcomes = {}
  while argi < #ARGV do
    local outcome = operations[arg()]()
    if type(outcome) == 'string' then return outcome, outcomes end
    outcomes[#outcomes + 1] = outcome
    if outcome.isLast then return 'again', outcomes end
  end
  return '', outcomes
end
