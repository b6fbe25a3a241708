-- The groups of a queue's jobs that can be delivered: whose turn is next, and which rest. Dead letters have none.

-- As they are stored, or as this call leaves them.
local known, changedGroups
beginnings[#beginnings + 1] = function()
  known, changedGroups = {}, {}
end

local NUMBERS = '^(%d+) (%d+) (%d+) (%S+) (%d+)$'
function groups.of(name)
  local group = known[name]
  if not group then
    group = { count = 0, turn = 0, untilTime = 0, rateAt = 0, taken = 0 }
    local text = redis.call('HGET', live.groups, name)
    local count, turn, over, rateAt, taken = string.match(text or '', NUMBERS)
    if count then
      group.count, group.turn, group.untilTime = tonumber(count), tonumber(turn), tonumber(over)
      group.rateAt, group.taken = tonumber(rateAt), tonumber(taken)
    end
    known[name] = group
  end
  return group
end

local function placeOf(group)
  if group.count > 0 then
    if group.untilTime > 0 then return live.resting, group.untilTime end
    return live.turns, group.turn
  end
  local at = math.max(group.untilTime, math.ceil(group.rateAt))
  if at > 0 then return live.remembered, at end
end
local function restingIn(group)
  return group.untilTime > 0 and group.count or 0
end

-- A group without a turn that has jobs and does not rest gets the last one; one of which nothing is to be known goes.
function groups.change(name, change)
  local group = groups.of(name)
  local keyBefore, before = placeOf(group)
  local restedBefore = restingIn(group)
  change(group)
  if group.count == 0 or group.untilTime > 0 then
    group.turn = 0
  elseif group.turn == 0 then
    s.lastTurn = s.lastTurn + 1
    group.turn = s.lastTurn
  end
  s.resting = s.resting + restingIn(group) - restedBefore
  local key, at = placeOf(group)
  if keyBefore and keyBefore ~= key then unscore(keyBefore, name) end
  if key and (keyBefore ~= key or before ~= at) then score(key, name, at) end
  if key == live.resting or key == live.remembered then due(at) end
  pending = true
  changedGroups[name] = true
end

-- Its record goes, too, where nothing is to be known.
function groups.flush()
  for name in pairs(changedGroups) do
    local group = known[name]
    local text = false
    if placeOf(group) then
      text = string.format('%d %.0f %.0f %.17g %.0f', group.count, group.turn, group.untilTime, group.rateAt, group.taken)
    else
      known[name] = nil
    end
    if text then
      redis.call('HSET', live.groups, name, text)
    else
      redis.call('HDEL', live.groups, name)
    end
  end
  if next(changedGroups) then changedGroups = {} end
end

local function add(group)
  group.count = group.count + 1
end
local function takeOne(group)
  group.count = group.count - 1
end
function groups.nameOf(j)
  return j.group or j.key
end
function groups.rankOf(j)
  return (9 - j.priority) * BAND + j.sequence
end
function groups.enter(j)
  local name = groups.nameOf(j)
  score(live.group .. name, j.n, groups.rankOf(j))
  score(live.grouped, j.n, j.sequence)
  groups.change(name, add)
end
function groups.leave(j)
  local name = groups.nameOf(j)
  unscore(live.group .. name, j.n)
  unscore(live.grouped, j.n)
  groups.change(name, takeOne)
end

-- Whether a ready job stands in its group, by what this call has not written yet, too.
function groups.has(p, j)
  if p.dead then return false end
  local map = scores[p.grouped]
  if map and map[j.n] ~= nil then return map[j.n] ~= false end
  return redis.call('ZSCORE', p.grouped, j.n) and true
end

-- Ends what is over: groups have rested, and the rates of those without jobs need not be known.
function groups.wake(most)
  for _, key in ipairs({ live.resting, live.remembered }) do
    flush()
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now, 'LIMIT', 0, most)) do
      groups.change(name, function(group)
        group.untilTime = 0
        if key == live.remembered then group.rateAt = 0 end
      end)
    end
  end
end

-- Lets no group rest longer than a rate asks for that is higher than it was.
function groups.wakeBeyond(latest, most)
  for _, key in ipairs({ live.resting, live.remembered }) do
    for _, name in ipairs(redis.call('ZRANGEBYSCORE', key, math.ceil(latest) + 1, '+inf', 'LIMIT', 0, most)) do
      groups.change(name, function(group)
        group.untilTime, group.rateAt = 0, math.min(group.rateAt, latest)
      end)
    end
  end
  flush()
end

-- The group has had its turn; `untilTime` where it rests.
function groups.delivered(name, rateAt, untilTime, count)
  groups.change(name, function(group)
    group.count = group.count - count
    group.taken = group.taken + 1
    group.turn, group.rateAt, group.untilTime = 0, rateAt, untilTime
  end)
end

-- Forgets all that is known of groups, as they are made anew.
function groups.clear()
  for _, name in ipairs(redis.call('HKEYS', live.groups)) do redis.call('UNLINK', live.group .. name) end
  for _, key in ipairs({ live.groups, live.turns, live.resting, live.remembered }) do redis.call('UNLINK', key) end
  known, changedGroups, s.resting = {}, {}, 0
end

-- Whether what is known of groups fits, as far as a glance tells.
function groups.fit()
  local inTurns, resting = redis.call('ZCARD', live.turns), redis.call('ZCARD', live.resting)
  if redis.call('HLEN', live.groups) ~= inTurns + resting + redis.call('ZCARD', live.remembered) then return false end
  if inTurns + resting == 0 then return redis.call('EXISTS', live.grouped) == 0 end
  local first = redis.call('ZRANGE', inTurns > 0 and live.turns or live.resting, 0, 0)[1]
  return redis.call('ZCARD', live.group .. first) == groups.of(first).count
end

-- Whether some stand where they would not if they came now.
function groups.isMixed()
  return redis.call('EXISTS', s.grouped == 1 and live.ready or live.grouped) == 1
end

-- Brings at most so many of them to where they belong.
function groups.regroup(most)
  flush()
  if not groups.isMixed() then return end
  -- Those of groups that rest can be delivered now.
  if s.grouped == 0 then works(live, now) end
  local names = redis.call('ZRANGE', s.grouped == 1 and live.ready or live.grouped, 0, most - 1)
  fetch(names)
  for _, n in ipairs(names) do
    local j = jobOf(n)
    if s.grouped == 1 then
      unscore(live.ready, n)
      if j then groups.enter(j) end
    elseif j then
      groups.leave(j)
      score(live.ready, n, groups.rankOf(j))
    else
      unscore(live.grouped, n)
    end
  end
  flush()
end
