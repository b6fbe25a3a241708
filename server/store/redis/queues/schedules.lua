-- Schedules: what adds jobs again and again, each due time in one step with its jobs.
--
-- <tag>schedules       hash: `version nextAt spec` by name; `nextAt` is empty where it is over
-- <tag>scheduleTimes   names by the time at which they are due next
-- <tag>scheduleBodies  hash: what their jobs hold, by name

-- Version and next time, `nil` where there is none.
local function scheduleOf(name)
  local version, nextAt = string.match(fieldOf(tag .. 'schedules', name) or '', '^(%S+) (%d*) ')
  return version, tonumber(nextAt or '')
end

-- Writes a record, and its place among those that fall due.
local function keep(name, version, nextAt, spec)
  field(tag .. 'schedules', name, version .. ' ' .. nextAt .. ' ' .. spec)
  score(tag .. 'scheduleTimes', name, tonumber(nextAt) or false)
end

-- putSchedule: name version newVersion nextAt most spec body
function operations.putSchedule()
  local name, expected, version, nextAt, most, spec, body = arg(), arg(), arg(), arg(), num(), arg(), arg()
  local before = scheduleOf(name)
  if (before or '') ~= expected then return { 'error', 'changed' } end
  flush()
  if not before and redis.call('HLEN', tag .. 'schedules') >= most then return { 'error', 'too_many' } end
  if full then return { 'error', 'storage_full' } end
  if not ensureBorn() then return 'birth' end
  keep(name, version, nextAt, spec)
  field(tag .. 'scheduleBodies', name, body)
  return { 'done' }
end

-- removeSchedule: name
function operations.removeSchedule()
  local name = arg()
  if not fieldOf(tag .. 'schedules', name) then return { 'done', '0' } end
  field(tag .. 'schedules', name, false)
  field(tag .. 'scheduleBodies', name, false)
  unscore(tag .. 'scheduleTimes', name)
  return { 'done', '1' }
end

-- fireSchedule: name version newVersion nextAt spec words, then an `enqueue` of so many words
function operations.fireSchedule()
  local name, expected, version, nextAt, spec, words = arg(), arg(), arg(), arg(), arg(), num()
  local before, at = scheduleOf(name)
  if before ~= expected or not at or at > now then
    argi = argi + words
    return { 'error', 'changed' }
  end
  local outcome = operations[arg()]()
  if type(outcome) == 'table' and outcome[1] ~= 'error' then keep(name, version, nextAt, spec) end
  return outcome
end
