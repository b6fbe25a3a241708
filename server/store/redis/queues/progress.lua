-- The operation in which consumers tell how far they are with their jobs. What of it stays with a job is packed as in
-- progress.ts: the length of the value, the value, the lines of the log as JSON.

-- Lines that a job keeps, and the bytes of their texts: the oldest go first.
local LOG_LINES = 100
local LOG_BYTES = 65536

local function linesIn(text)
  local isRead, lines = pcall(cjson.decode, text)
  return isRead and type(lines) == 'table' and lines or {}
end

-- With what is told now.
local function withReport(packed, value, log)
  local lines = {}
  if packed and #packed >= 4 then
    local length = struct.unpack('<I4', packed)
    if value == '' then value = string.sub(packed, 5, 4 + length) end
    lines = linesIn(string.sub(packed, 5 + length))
  end
  for _, text in ipairs(linesIn(log)) do lines[#lines + 1] = { now, text } end
  local first, bytes = math.max(1, #lines - LOG_LINES + 1), 0
  for i = first, #lines do bytes = bytes + #lines[i][2] end
  while bytes > LOG_BYTES do
    bytes = bytes - #lines[first][2]
    first = first + 1
  end
  local kept = {}
  for i = first, #lines do kept[#kept + 1] = lines[i] end
  return struct.pack('<I4', #value) .. value .. (#kept > 0 and cjson.encode(kept) or '')
end

-- progress: part policy count reports; of each the lease's serial, the job's number, token and id, the value, the lines as JSON
-- Answer: a letter for each.
function operations.progress()
  local p = partOf(arg())
  readPolicy()
  local count, reports = num(), arg()
  if full then return { 'error', 'storage_full' } end
  fireTimers()
  local parsed, names, at = {}, {}, 1
  for i = 1, count do
    local each = { struct.unpack('<dBc0Bc0I4c0I4c0I4c0', reports, at) }
    parsed[i], names[i], at = each, each[2], each[7]
  end
  fetch(names)
  local outcomes = {}
  for i = 1, count do
    local serial, n, token, id, value, log = unpack(parsed[i])
    local j = jobOf(n)
    outcomes[i] = 'l'
    -- A sender's id may begin as those do that the store gives.
    local isIts = j and (j.id == id or j.named == 1 and j.id == idOf({ named = 0, n = n, id = id }))
    if isIts and j.token == token and j.serial == serial and (j.dead == 1) == p.dead then
      outcomes[i] = 'o'
      field(own.progressKey, n, withReport(j.progress and fieldOf(own.progressKey, n), value, log))
      if not j.progress then
        j.progress = true
        put(j)
      end
      if value ~= '' and not p.dead then life.tell('progress', idOf(j), { attempt = j.attempts + 1 }, value) end
    end
  end
  return { 'done', table.concat(outcomes) }
end
