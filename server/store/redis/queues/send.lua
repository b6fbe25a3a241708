-- The operation that adds jobs, with what it has to remember of their senders: numbers and ids.

local PRODUCER_MS = 604800000
local KEPT_DRAFTS = 1024
local REASONS = { 'max_attempts', 'rejected', 'expired', 'gap' }
local DRAFT, OPTIONS = '<I4c0I4c0', '<BBdddBI4c0I4c0'
-- The part of a record that deliveries change, of a job that had none, by its state.
local unheld = {}
local function unheldIn(state)
  unheld[state] = unheld[state] or struct.pack('<' .. LEASE, state, 0, 0, 0, 0, 0, 0, 0, 0, 0)
  return unheld[state]
end

-- Senders that number their drafts: `start next usedAt`, and a list of `seq count number token` or `seq 1 = id`.
local function producedAt(key, from, to)
  local ids = {}
  local expected = from
  for _, text in ipairs(redis.call('LRANGE', tag .. 'produced:' .. key, 0, -1)) do
    local seq, count, n, id = string.match(text, '^(%d+) (%d+) (%S+) (.*)$')
    seq, count = tonumber(seq or -1), tonumber(count or 0)
    while expected >= seq and expected < seq + count and expected <= to do
      ids[#ids + 1] = n == '=' and '=' .. id or '#' .. whole(tonumber(n) + expected - seq) .. '-' .. id
      expected = expected + 1
    end
  end
  return expected > to and ids or nil
end
local function produced(key, known, start, next, seq, ids)
  local list = tag .. 'produced:' .. key
  if not known then redis.call('UNLINK', list) end
  local texts = {}
  local open
  for i, id in ipairs(ids) do
    local n, token = string.match(id, '^#(%d+)-(.*)$')
    if open and n and open.token == token and tonumber(n) == open.n + open.count then
      open.count = open.count + 1
    else
      open = { seq = seq + i - 1, count = 1, n = n and tonumber(n), token = token or string.sub(id, 2) }
      texts[#texts + 1] = open
    end
  end
  for i, entry in ipairs(texts) do
    texts[i] = string.format(
      '%.0f %d %s %s', entry.seq, entry.count, entry.n and whole(entry.n) or '=', entry.token)
  end
  many('RPUSH', list, texts)
  local following = math.max(next, seq + #ids)
  while true do
    local text = redis.call('LINDEX', list, 0)
    if not text then break end
    local first, count = string.match(text, '^(%d+) (%d+)')
    if tonumber(first) + tonumber(count) > following - KEPT_DRAFTS then break end
    redis.call('LPOP', list)
  end
  if not known then forgetAt(now + PRODUCER_MS, 'p' .. key) end
  redis.call('HSET', PRODUCERS, key, string.format('%.0f %.0f %.0f', start, following, now))
end

-- Ids: a hash `number until tilde` by id, and their order in a list whose first number is kept beside the subject.
local function idGiven(hash, id)
  local text = redis.call('HGET', hash, id)
  if not text then return nil end
  local over, stored = string.match(text, '^%d+ (%d+) (.*)$')
  return over and now < tonumber(over) and stored or nil
end
local function forgetId(subject, floor)
  local id = redis.call('LPOP', tag .. 'idlog:' .. subject)
  if not id then return false end
  local hash = tag .. 'ids:' .. subject
  local text = redis.call('HGET', hash, id)
  -- Given again after its time, the id has a later number and stays.
  if text and tonumber(string.match(text, '^(%d+)')) == floor then redis.call('HDEL', hash, id) end
  return true
end
local function remember(subject, ids)
  local hash, list = tag .. 'ids:' .. subject, tag .. 'idlog:' .. subject
  local floor = tonumber(redis.call('HGET', SUBJECTS, subject) or 0)
  local length = redis.call('LLEN', list)
  if length == 0 then forgetAt(now + ID_MS, 'i' .. subject) end
  local values, order = {}, {}
  for _, given in ipairs(ids) do
    values[#values + 1] = given[1]
    values[#values + 1] = whole(floor + length) .. ' ' .. whole(given[2]) .. ' ' .. given[3]
    order[#order + 1] = given[1]
    length = length + 1
  end
  many('HSET', hash, values)
  many('RPUSH', list, order)
  while length > maxIds do
    forgetId(subject, floor)
    floor, length = floor + 1, length - 1
  end
  redis.call('HSET', SUBJECTS, subject, whole(floor))
end

-- Whether a job with this id is there, or what became of a request with it.
local function isTaken(id)
  if fieldOf(NAMES, id) then return true end
  local digits, token = string.match(id, '^([0-9a-z]+)%-(.+)$')
  if digits and #digits <= 10 then
    local n = whole(tonumber(digits, 36))
    local j = jobOf(n)
    if j and j.named == 0 and j.id == token then return true end
  end
  local text = redis.call('HGET', ANSWERS, id)
  return text and struct.unpack('<d', text) > now
end

-- enqueue: subject token jobs bytes producer seq topic from to count drafts; of each draft its body and its options, which
-- are empty where they are those of the draft before.
function operations.enqueue()
  local subject, token, maxJobs, maxBytes = arg(), arg(), num(), num()
  local producer, seq = arg(), num()
  local topic, from, to, count, sent = arg(), arg(), arg(), num(), arg()
  if full then return { 'error', 'storage_full' } end
  if topic ~= '' then
    local position = fieldOf(BINDINGS, topic)
    if position ~= from then return { 'error', 'moved', position or '' } end
  end

  local given, repeated = {}, 0
  local key, sender, firstSeq, nextSeq
  if seq >= 0 then
    key = #subject .. ':' .. subject .. producer
    sender = redis.call('HGET', PRODUCERS, key)
    if sender then
      local first, following, usedAt = string.match(sender, '^(%d+) (%d+) (%d+)$')
      if usedAt and now - tonumber(usedAt) < PRODUCER_MS then
        firstSeq, nextSeq = tonumber(first), tonumber(following)
      else
        sender = nil
      end
    end
    if sender and seq > nextSeq then return { 'error', 'skipped', whole(nextSeq) } end
    if not sender and seq > 1 then return { 'error', 'unknown' } end
    local last = math.min(nextSeq or seq, seq + count) - 1
    if last >= seq then
      local kept = seq >= math.max(firstSeq, nextSeq - KEPT_DRAFTS) and producedAt(key, seq, last)
      if not kept then return { 'error', 'forgotten', whole(seq) } end
      given, repeated = kept, #kept
    end
  end

  -- What is new of the drafts, without a write.
  local hash = tag .. 'ids:' .. subject
  local drafts, inThisCall, sameAs, duplicates = {}, {}, {}, repeated
  local jobs, bytes = 0, 0
  local options, draft
  local bodyOf, at = {}, 1
  for i = 1, count do
    local body, text
    body, text, at = struct.unpack(DRAFT, sent, at)
    bodyOf[i] = body
    if text ~= '' and text ~= options then
      options = text
      local priority, kind, time, ttlMs, replyMs, reason, line, id = struct.unpack(OPTIONS, text)
      draft = {
        priority = priority, kind = kind, time = time, ttlMs = ttlMs, replyMs = replyMs, reason = reason,
        key = line, id = id,
      }
    end
    if i > repeated then
      local id = draft.id
      local earlier = id ~= '' and topic == '' and (inThisCall[id] or idGiven(hash, id))
      if earlier and earlier ~= true then
        duplicates = duplicates + 1
        given[i] = earlier
      elseif earlier then
        duplicates = duplicates + 1
        sameAs[i] = id
      else
        if id ~= '' then inThisCall[id] = true end
        drafts[i] = draft
        if draft.reason == 0 then
          jobs = jobs + 1
          bytes = bytes + #body
        end
      end
    end
  end
  if live.count + jobs > maxJobs or live.bytes + bytes > maxBytes then
    if jobs > 0 then return { 'error', 'too_many' } end
  end
  if s.born == 0 then
    if not mayBeBorn then return 'birth' end
    s.born = 1
  end

  local bodies, rows, names, ready, expiring, ids = {}, {}, {}, {}, {}, {}
  local taken, firstNumber = {}, s.number + 1
  local lastExpAt, expText
  local like, size, stateOf, before, behind, texts
  local plain = duplicates == 0
  for i = repeated + 1, count do
    local d = drafts[i]
    if not d then
      -- A duplicate of a draft of this call has the id that this one got.
      if sameAs[i] then given[i] = taken[sameAs[i]] end
    else
      local body = bodyOf[i]
      s.number = s.number + 1
      local n = digits(s.number)
      local named, id = 0, token
      if d.id ~= '' then
        plain = false
        named, id = 1, d.id
        while names[id] or isTaken(id) do id = id .. '~' .. n end
        names[id] = n
        field(NAMES, id, n)
        taken[d.id] = '=' .. id
        given[i] = '=' .. id
      else
        given[i] = n
      end
      local dueAt = now
      if d.kind == 1 then
        dueAt = now + d.time
      elseif d.kind == 2 then
        dueAt = math.max(now, d.time)
      end
      local request = d.replyMs >= 0 and 1 or 0
      local replyBy = request == 1 and now + d.replyMs or 0
      if named == 1 and topic == '' then
        ids[#ids + 1] = { d.id, math.max(now + ID_MS, replyBy), given[i] }
      end
      local state, expAt, sequence = READY, 0, 0
      local p = live
      if d.reason > 0 then
        p, dueAt, expAt = dead, now, now
        live.sent = live.sent + 1
      elseif dueAt > now then
        state = SCHEDULED
      else
        expAt = math.min(now + d.ttlMs, request == 1 and replyBy or huge)
      end
      p.sent = p.sent + 1
      p.count = p.count + 1
      p.bytes = p.bytes + #body
      local rank = nil
      if state == SCHEDULED then
        score(p.scheduled, string.format('%014.0f', s.number), dueAt)
        due(dueAt)
        works(p, dueAt)
      else
        p.lastSequence = p.lastSequence + 1
        sequence = p.lastSequence
        if d.key ~= '' and not p.dead and fieldOf(HEADS, d.key) then
          state = BLOCKED
          score(p.blocked, n, sequence)
          score(p.line .. d.key, n, sequence)
        else
          if d.key ~= '' and not p.dead then field(HEADS, d.key, n) end
          rank = (9 - d.priority) * BAND + sequence
        end
        if p.dead then
          local reason = REASONS[d.reason]
          field(DEATHS, n, cjson.encode({ reason, now, '' }))
          lose('D', live, reason)
          score(p.ready, n, rank)
          score(p.expiries, n, now)
          due(now + s.deadMs)
        else
          if rank then
            ready[#ready + 1] = digits(rank)
            ready[#ready + 1] = n
          end
          if expAt ~= lastExpAt then lastExpAt, expText = expAt, whole(expAt) end
          expiring[#expiring + 1] = expText
          expiring[#expiring + 1] = n
          due(expAt)
        end
        works(p, now)
      end
      records[n] = nil
      -- Neighbours that are sent alike differ in their places.
      if d ~= like or #body ~= size or state ~= stateOf or named == 1 then
        like, size, stateOf = d, #body, state
        before = unheldIn(state) .. struct.pack(
          '<' .. BEFORE_SEQUENCE, size, expAt, p.dead and 1 or 0, 0, named, request, d.priority, 0)
        behind = struct.pack('<' .. AFTER_SEQUENCE, now, dueAt, replyBy, d.ttlMs, #d.key, #subject, #id)
        texts = d.key .. subject .. id
      end
      rows[#rows + 1] = n
      if size > SMALL then
        bodies[#bodies + 1] = n
        bodies[#bodies + 1] = body
        body = ''
      end
      rows[#rows + 1] = before .. struct.pack('<d', sequence) .. behind .. body .. texts
    end
  end
  many('HSET', BODIES, bodies)
  many('HSET', JOBS, rows)
  many('ZADD', live.expiries, expiring)
  many('ZADD', live.ready, ready)
  if #ids > 0 then remember(subject, ids) end
  if topic ~= '' then field(BINDINGS, topic, to) end
  for i = repeated + 1, count do
    if drafts[i] and drafts[i].id == '' then given[i] = '#' .. given[i] .. '-' .. token end
  end
  if seq >= 0 then
    local fresh = {}
    for i = repeated + 1, count do fresh[#fresh + 1] = given[i] end
    produced(key, sender, firstSeq or seq, nextSeq or 0, seq + repeated, fresh)
  end
  if plain then return { 'new', whole(firstNumber) } end
  local reply = { 'mixed' }
  for i = 1, count do reply[#reply + 1] = (drafts[i] and '' or '!') .. given[i] end
  return reply
end
