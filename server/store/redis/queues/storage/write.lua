-- Everything that changes a queue: one call does any number of operations in their order, each wholly or not at all.
-- Within an operation all checks come before the first write.
--
-- Arguments: now full maxIds mayBeBorn, then the operations.
-- Answer: `birth` where that is what the next operation needs, `again` where it needs a call of its own, when something is
--   to be done next, whether that is sooner than before this call, when a sweep has to forget something that this call
--   wrote, an outcome for each operation that was done, how many jobs were found lost where the lists had to be made anew,
--   and what jobs were lost as `lose` writes it, each with how many.

local function call(keys, args)
  local refused = begin(keys, args)
  if refused then return refused end
  mending.look(false)
  local stopped, outcomes = operate()
  if family.isBroken then mending.mend() end
  flush()
  flushConsumers()
  writeEnded()
  life.write()
  if s.born == 1 then
    local values = {}
    for i = 1, #COMMON do values[i] = s[COMMON[i]] end
    for i = 1, #FIGURES do
      values[#COMMON + i], values[#COMMON + #FIGURES + i] = live[FIGURES[i]], dead[FIGURES[i]]
    end
    local packed = struct.pack(META, 1, unpack(values))
    for _, name in ipairs(LATER) do packed = packed .. struct.pack('<d', s[name]) end
    if packed ~= stored then redis.call('SET', KEYS[1], packed) end
  end
  local CHANNEL = string.sub(tag, 1, -2)
  for _, p in ipairs({ live, dead }) do
    if p.tell then redis.call('SPUBLISH', CHANNEL, 'W\n' .. whole(p.tell)) end
  end
  for consumer, ids in pairs(lapses) do
    redis.call('SPUBLISH', CHANNEL, 'L\n' .. #ids .. '\n' .. table.concat(ids, '\n') .. '\n' .. consumer)
  end
  for _, message in ipairs(messages) do redis.call('SPUBLISH', CHANNEL, message) end
  local lost = {}
  for name, jobs in pairs(losses) do
    lost[#lost + 1] = name
    lost[#lost + 1] = whole(jobs)
  end
  return { stopped, timeText(s.nextTimer), s.nextTimer < nextTimerBefore and '1' or '0', nextSweep and whole(nextSweep) or '', outcomes,
    mending.lost and whole(mending.lost) or '', lost }
end
