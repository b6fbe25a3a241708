-- Jobs that wait for others: what they wait for, and what has become of that.
--
-- <tag>family    hash: what a job is to its children and to its parent by its number, as JSON: `c` has of its children the
--                count, how many are open, the bytes of their results and the most there may be, and whether it fails with
--                one; `p` has of its parent the number and the id, and its place among the children, or of one in another
--                queue that, its id, and its place in words of the engine there
-- <tag>children  hash: the ids of the children by their parent's number, as JSON, in the place of one of another queue that;
--                and behind a `:` and a place what became of that child: its state, the length of an error, the error, the
--                result. Of one of another queue, by AWAY more than the state, its id comes first, behind its length
-- <tag>carried   hash: by another queue how far children from there have come, as the name of its row and a number

local FAMILY, CHILDREN = 'family', 'children'
local OUTCOME, AWAY, NAMED = '<BI4', 16, '<BI4c0I4'
local CARRIED = 'carried'
local STATES = { 'done', 'dead', 'removed' }
local NO_ROOM = 'its result is left out: those of all children are together larger than their parent may get'

family.DONE, family.DEAD, family.REMOVED = 1, 2, 3

function family.of(n)
  local isRead, has = pcall(cjson.decode, fieldOf(tag .. FAMILY, n) or '{}')
  return isRead and type(has) == 'table' and has or {}
end

local function keep(n, has)
  field(tag .. FAMILY, n, cjson.encode(has))
end

-- A job that comes: of its children how many there are, the most bytes and whether it fails; of its parent number, id, place.
function family.begin(n, children, parent)
  local c = children and { k = children.count, o = children.count, b = 0, m = children.most, f = children.fails }
  keep(n, { c = c or nil, p = parent or nil })
end
function family.keepIds(n, ids)
  field(tag .. CHILDREN, n, cjson.encode(ids))
end

-- Its children have ended.
local function fallsDue(parent)
  unwait(live, parent)
  if parent.dueAt > now then
    parent.state = SCHEDULED
    score(live.scheduled, string.format('%014.0f', parent.n), parent.dueAt)
    due(parent.dueAt)
    works(live, parent.dueAt)
  else
    parent.dueAt = now
    fallDue(live, parent)
  end
  put(parent)
end

-- A child has ended: its parent gets what became of it, or fails with it. What was told first counts.
function family.report(parentNumber, place, id, state, why, result, queue)
  local parent = jobOf(parentNumber)
  local name = parentNumber .. ':' .. place
  if not parent or not parent.family or fieldOf(tag .. CHILDREN, name) then return end
  local has = family.of(parent.n)
  local c = has.c
  if not c then return end
  if c.b + #result > c.m then why, result = NO_ROOM, '' end
  c.b, c.o = c.b + #result, c.o - 1
  local head = queue and struct.pack(NAMED, state + AWAY, #id, id, #why) or struct.pack(OUTCOME, state, #why)
  field(tag .. CHILDREN, name, head .. why .. result)
  keep(parent.n, has)
  if parent.state ~= family.WAITING or parent.dead == 1 then return end
  if state ~= family.DONE and c.f == 1 then
    unwait(live, parent)
    local child = queue and id .. ' of the queue ' .. queue or id
    family.fail(parent, 'its child ' .. child .. (state == family.DEAD and ' is dead' or ' was removed'))
  elseif c.o == 0 then
    fallsDue(parent)
  end
end
-- The place of a job among the children of its parent. Where that is gone, whoever waits is looked for behind this call.
function family.placeOf(j)
  if not j.family then return nil end
  local has = family.of(j.n)
  if not has.p and not has.c then family.isBroken = true end
  return has.p
end
function family.ended(j, state, why, result, p)
  p = p or family.placeOf(j)
  if not p then return end
  if not p.q then return family.report(p.n, p.i, idOf(j), state, why, result) end
  local child = cjson.encode({ id = idOf(j), state = STATES[state], error = why ~= '' and why or nil })
  local parent = cjson.encode({ id = p.id, place = p.i })
  life.leave('ended', parent, '"to":' .. cjson.encode(p.q) .. ',"child":' .. child, result)
end

-- Children that come from another queue: their places, and how far those have come.
function family.carriedBefore(text)
  if text == '' then return nil end
  local all = cjson.decode(text)
  local row, number = string.match(fieldOf(tag .. CARRIED, all.queue) or '', '^(%S+) (%d+)$')
  local places = all.places
  places.queue, places.row = all.queue, all.row
  return places, row == all.row and tonumber(number) or 0
end
function family.keepCarried(places)
  local row, number = string.match(fieldOf(tag .. CARRIED, places.queue) or '', '^(%S+) (%d+)$')
  local last = places[#places].number
  if row == places.row then last = math.max(last, tonumber(number)) end
  field(tag .. CARRIED, places.queue, places.row .. ' ' .. whole(last))
end
beginnings[#beginnings + 1] = function()
  family.isBroken = false
end

-- Whether all that wait can know of what.
function family.fits()
  return redis.call('HLEN', tag .. FAMILY) >= redis.call('ZCARD', live.waiting)
end

-- The job is gone, and with it what it knew of its children.
function family.forget(n)
  local c = family.of(n).c
  field(tag .. FAMILY, n, false)
  if not c then return end
  field(tag .. CHILDREN, n, false)
  for i = 0, c.k - 1 do field(tag .. CHILDREN, n .. ':' .. whole(i), false) end
end

-- Of a record: whether it has a family, and the bytes of its children's results.
function family.isIn(record)
  return string.byte(record, DEAD_AT + 1) % own.PROGRESS >= own.FAMILY
end
function family.bytes(n, record)
  local c = family.isIn(record) and family.of(n).c
  return c and c.b or 0
end

-- What is known of the children of a job that is delivered: their ids, and of each what became of it, behind its length.
function family.told(n)
  local ids = fieldOf(tag .. CHILDREN, n)
  if not ids then return '' end
  local parts = { struct.pack('<I4c0', #ids, ids) }
  local c = family.of(n).c
  for i = 0, (c and c.k or 0) - 1 do
    local outcome = fieldOf(tag .. CHILDREN, n .. ':' .. whole(i)) or ''
    parts[#parts + 1] = struct.pack('<I4c0', #outcome, outcome)
  end
  return table.concat(parts)
end

-- Children of a parent that waits, without a word of their end, that are not there; those that are know their place again.
function family.mend(parent, present)
  local c = family.of(parent.n).c
  if not c then
    unwait(live, parent)
    return family.fail(parent, 'damaged', 'rejected')
  end
  local isRead, ids = pcall(cjson.decode, fieldOf(tag .. CHILDREN, parent.n) or '[]')
  for i = 1, c.k do
    local id = isRead and type(ids) == 'table' and ids[i] or ''
    local isAway, place = type(id) == 'table', whole(i - 1)
    local digits = not isAway and string.match(id, '^([0-9a-z]+)%-')
    local n = digits and whole(tonumber(digits, 36))
    if isAway then
      -- Its end is told by that queue.
    elseif not n or not present[n] then
      family.report(parent.n, place, id, family.DEAD, 'damaged', '')
    elseif not family.of(n).p then
      keep(n, { c = family.of(n).c, p = { n = parent.n, id = idOf(parent), i = place } })
    end
  end
end
