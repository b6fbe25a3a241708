-- The store's own epochs: writes nothing where the schema is newer than `known`. Begins one where the store has none, none of number `after + 1` or more, or none for `run`.
-- `noted`: the run that a new one counts for. Arguments: fresh after run noted known · Answer: how many were begun, for which runs, the last ones, oldest first, the schema.
-- A store is marked with the newest schema that has used it.

local MAX_EPOCHS = 1000
local MAX_RUNS = 256

local function last(text, most)
  local parts = {}
  for part in string.gmatch(text, '%S+') do parts[#parts + 1] = part end
  return table.concat(parts, ' ', math.max(1, #parts + 1 - most))
end

local function call(keys, args)
  local stored = redis.call('HMGET', keys[1], 'begun', 'runs', 'epochs', 'schema')
  local begun, runs, epochs = tonumber(stored[1] or 0), stored[2] or '', stored[3] or ''
  if tonumber(stored[4] or 0) > tonumber(args[5]) then return { '0', '', '', stored[4] } end
  local fresh, after, run, noted = args[1], tonumber(args[2]), args[3], args[4]
  if begun == 0 or begun <= after or (run ~= '' and not string.find(runs, run, 1, true)) then
    begun = math.max(begun, after) + 1
    epochs = last(epochs .. ' ' .. fresh, MAX_EPOCHS)
    if noted ~= '' then runs = last(runs .. ' ' .. noted, MAX_RUNS) end
    redis.call('HSET', keys[1], 'begun', string.format('%.0f', begun), 'runs', runs, 'epochs', epochs)
  end
  if stored[4] ~= args[5] then redis.call('HSET', keys[1], 'schema', args[5]) end
  return { string.format('%.0f', begun), runs, epochs, args[5] }
end
