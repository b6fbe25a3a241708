-- The operation that adds jobs, with what it has to remember of their senders: numbers and ids.

local REASONS = { 'max_attempts', 'rejected', 'expired', 'gap', 'child' }
local DRAFT = '<I4c0I4c0'
-- The part of a record that deliveries change, of a job that had none, by its state.
local unheld = {}
local function unheldIn(state)
  unheld[state] = unheld[state] or struct.pack('<' .. LEASE, state, 0, 0, 0, 0, 0, 0, 0, 0, 0)
  return unheld[state]
end

-- Producers: a list of `seq count number token` or `seq 1 = id`.
local function producedAt(key, _, from, to)
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
local function take(key, p, seq, ids)
  local list = tag .. 'produced:' .. key
  beginNumbers(key, p, seq)
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
  p.next = math.max(p.next, seq + #ids)
  trimNumbers(list, p.next, '^(%d+) (%d+)')
  redis.call('HSET', PRODUCERS, key, string.format('%.0f %.0f %.0f', p.start, p.next, now))
end

-- Of an id: `number until given`.
function idText(number, over, given)
  return whole(number) .. ' ' .. whole(over) .. ' ' .. given
end
function idParts(text)
  local number, over, given = string.match(text, '^(%d+) (%d+) (.*)$')
  if number then return tonumber(number), tonumber(over), given end
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

-- enqueue: subject token jobs bytes grouped events producer seq topic from to carried childless count drafts; of each draft its body and its options, which
-- are empty where they are those of the draft before. The last of the options is what it has in place of the policy, as JSON;
-- behind them stand its children: whether it fails with one, the most bytes of their results, how many, and their drafts.
function operations.enqueue()
  local subject, token, maxJobs, maxBytes = arg(), arg(), num(), num()
  local grouped, events, producer, seq = arg(), arg(), arg(), num()
  local topic, from, to, carried, childless, count, sent = arg(), arg(), arg(), arg(), arg(), num(), arg()
  if full then return { 'error', 'storage_full' } end
  if carried == '' and events ~= '0' and life.room() == 0 then return life.refused() end
  local places, came = family.carriedBefore(carried)
  if topic ~= '' then
    local position = fieldOf(BINDINGS, topic)
    if position ~= from then return { 'error', 'moved', position or '' } end
  end

  local given, repeated = {}, 0
  local key, sender
  if seq >= 0 then
    key = #subject .. ':' .. subject .. producer
    sender = producerOf(key)
    local kept, refused = repeatedOf(key, sender, seq, count, producedAt)
    if refused then return refused end
    given, repeated = kept, #kept
  end

  -- What is new of the drafts, without a write.
  local hash = tag .. 'ids:' .. subject
  local drafts, inThisCall, sameAs, duplicates = {}, {}, {}, repeated
  local jobs, bytes, hasChildren, leaves = 0, 0, false, false
  local options, draft
  local bodyOf, at = {}, 1
  for i = 1, count do
    local body, text
    body, text, at = struct.unpack(DRAFT, sent, at)
    bodyOf[i] = body
    if text ~= '' and text ~= options then
      options = text
      draft = family.draftOf(text)
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
      elseif places and places[i].number <= came then
        duplicates = duplicates + 1
        given[i] = '='
      else
        if id ~= '' then inThisCall[id] = true end
        drafts[i] = draft
        if draft.reason == 0 then
          jobs = jobs + 1 + draft.jobs
          bytes = bytes + #body + draft.bytes
        end
        if draft.children or places then hasChildren = true end
        if draft.elsewhere then leaves = true end
      end
    end
  end
  if carried == '' and (live.count + jobs > maxJobs or live.bytes + bytes > maxBytes) then
    if jobs > 0 then return { 'error', 'too_many' } end
  end
  if leaves and childless == '1' then return { 'error', 'no_children' } end
  if leaves and carried == '' and life.left() == 0 then return life.refused() end
  if not ensureBorn() then return 'birth' end
  if grouped ~= '' then orderBy(tonumber(grouped)) end
  if events ~= '' then s.events = tonumber(events) end

  local bodies, rows, names, ready, expiring, ids = {}, {}, {}, {}, {}, {}
  local taken, firstNumber = {}, s.number + 1
  local lastExpAt, expText
  local like, size, stateOf, before, behind, texts
  local plain = duplicates == 0 and not hasChildren
  local all = hasChildren and family.unfold(drafts, bodyOf, repeated + 1, count)
  local numbers, jobIds, childrenOf, childIds = {}, {}, {}, {}
  for k = all and 1 or repeated + 1, all and #all.drafts or count do
    local d, i, body
    if all then
      d, i, body = all.drafts[k], all.places[k], all.bodies[k]
    else
      d, i, body = drafts[k], k, bodyOf[k]
    end
    if d then
      s.number = s.number + 1
      local n = digits(s.number)
      local named, id = 0, token
      if d.id ~= '' then
        plain = false
        named, id = 1, d.id
        while names[id] or isTaken(id) do id = id .. '~' .. n end
        finished.forget(id)
        names[id] = n
        field(NAMES, id, n)
        taken[d.id] = '=' .. id
        given[i] = '=' .. id
      elseif i then
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
      elseif d.children then
        state = family.WAITING
      elseif dueAt > now then
        state = SCHEDULED
      else
        expAt = math.min(now + d.ttlMs, request == 1 and replyBy or huge)
      end
      local carriedTo = places and i and places[i]
      local hasFamily = all and (d.children or all.parents[k] or carriedTo)
      if all then
        numbers[k], jobIds[k] = n, named == 1 and id or idOf({ named = 0, n = n, id = token })
        local parent = all.parents[k]
        if parent then
          childIds[#childIds + 1] = '#' .. n .. '-' .. token
          childrenOf[parent][all.at[k] + 1] = jobIds[k]
        end
        if d.children then childrenOf[k] = {} end
        if hasFamily then
          local place = parent and { n = numbers[parent], id = jobIds[parent], i = whole(all.at[k]) }
          if carriedTo then place = { q = places.queue, id = carriedTo.id, i = carriedTo.place } end
          family.begin(n, d.children, place)
        end
      end
      if s.events == 1 then
        local told = named == 1 and id or idOf({ named = 0, n = n, id = token })
        life.tell('sent', told, { dueAt = dueAt > now and dueAt or nil })
        if p.dead then life.tell('dead', told, { error = d.why ~= '' and d.why or REASONS[d.reason] }) end
      end
      p.sent = p.sent + 1
      p.count = p.count + 1
      p.bytes = p.bytes + #body
      local rank = nil
      if state == SCHEDULED then
        score(p.scheduled, string.format('%014.0f', s.number), dueAt)
        due(dueAt)
        works(p, dueAt)
      elseif state == family.WAITING then
        score(p.waiting, n, s.number)
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
          field(DEATHS, n, cjson.encode({ reason, now, d.why }))
          lose('D', live, reason)
          score(p.ready, n, rank)
          score(p.expiries, n, now)
          due(now + s.deadMs)
        else
          if rank and s.grouped == 1 then
            groups.enter({ n = n, priority = d.priority, sequence = sequence, key = d.key, group = d.group })
          elseif rank then
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
      if d.policy then field(own.key, n, d.policy) end
      -- Neighbours that are sent alike differ in their places.
      if d ~= like or #body ~= size or state ~= stateOf or named == 1 then
        like, size, stateOf = d, #body, state
        before = unheldIn(state) .. struct.pack(
          '<' .. BEFORE_SEQUENCE, size, expAt, p.dead and 1 or 0,
          (d.policy and own.FLAG or 0) + (hasFamily and own.FAMILY or 0), named, request, d.priority, 0)
        local keys, key = keyText(d)
        behind = struct.pack('<' .. AFTER_SEQUENCE, now, dueAt, replyBy, d.ttlMs, keys, #subject, #id)
        texts = key .. subject .. id
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
  -- A duplicate of a draft of this call has the id that this one got.
  for i = repeated + 1, count do
    if sameAs[i] then given[i] = taken[sameAs[i]] end
  end
  for _, one in ipairs(all and all.elsewhere or {}) do
    local k, child, at = one.parent, one.child, one.at
    childrenOf[k][at + 1] = { q = child.to }
    local parent = cjson.encode({ id = jobIds[k], place = numbers[k] .. ' ' .. whole(at) })
    life.leave('child', parent, child.errand, child.body)
  end
  if places then family.keepCarried(places) end
  for k, n in ipairs(numbers) do
    if all.drafts[k].children then family.keepIds(n, childrenOf[k]) end
  end
  many('HSET', BODIES, bodies)
  many('HSET', JOBS, rows)
  -- Also of those that were looked for under the id of another draft.
  for k = 1, #rows, 2 do records[rows[k]] = nil end
  many('ZADD', live.expiries, expiring)
  many('ZADD', live.ready, ready)
  local forgotten = #ids > 0 and remember(subject, ids) or 0
  if topic ~= '' then field(BINDINGS, topic, to) end
  for i = repeated + 1, count do
    if drafts[i] and drafts[i].id == '' then given[i] = '#' .. given[i] .. '-' .. token end
  end
  if seq >= 0 then
    local fresh = {}
    for i = repeated + 1, count do fresh[#fresh + 1] = given[i] end
    take(key, sender, seq + repeated, fresh)
  end
  if plain then return { 'new', whole(firstNumber) } end
  local reply = { 'mixed', whole(forgotten) }
  for i = 1, count do reply[#reply + 1] = (drafts[i] and '' or '!') .. given[i] end
  for i = 1, #childIds do reply[#reply + 1] = childIds[i] end
  return reply
end
