-- The operations of consumers: they come, show that they are there, and go.

local function heldBy(p, consumer)
  flush()
  local names = redis.call('SMEMBERS', p.heldBy .. consumer)
  fetch(names)
  local held = {}
  for _, n in ipairs(names) do
    local j = jobOf(n)
    if j and j.state == HELD and j.consumer == consumer then held[#held + 1] = j end
  end
  table.sort(held, function(a, b) return a.serial < b.serial end)
  return held
end

-- attach: part consumer leaseMs since policy count, then the leases it knows of; count is -1 where it says nothing of them
function operations.attach()
  local p = partOf(arg())
  local consumer, leaseMs, since = arg(), num(), arg()
  readPolicy()
  local count = num()
  local known = count >= 0 and {}
  for _ = 1, count do known[arg()] = true end
  local before = consumerOf(p, consumer)
  if since ~= '' and since ~= (before and before.session or '0') then return { 'error', 'began' } end
  if not ensureBorn() then return 'birth' end
  fireTimers()
  local kept = {}
  for _, j in ipairs(heldBy(p, consumer)) do
    if known and not known[j.n .. '.' .. whole(j.serial) .. '.' .. j.token] then
      lapse(p, j)
    else
      j.expiresAt = math.min(now + leaseMs, j.capAt)
      j.capped = now + leaseMs >= j.capAt and 1 or 0
      score(p.held, j.n, j.expiresAt)
      due(j.expiresAt)
      put(j)
      kept[#kept + 1] = j.n
    end
  end
  local h = consumerOf(p, consumer)
  if not h then
    h = { lastSerial = -1, suspects = 0 }
    forgetAt(now + TOUCH_MS, 'h' .. (p.dead and 'd' or 'm') .. consumer)
  end
  -- By the clock, so that a session is higher than one that the server forgot.
  s.session = math.max(microseconds(), s.session + 1)
  h.session, h.touchedAt, h.attached = whole(s.session), now, true
  putConsumer(p, consumer, h)
  redis.call('ZADD', p.present, now, consumer)
  fireTimers()
  tell('S', h.session, p.dead and '1' or '0', consumer)
  local reply = { 'done', h.session }
  for _, n in ipairs(kept) do
    reply[#reply + 1] = n
    reply[#reply + 1] = records[n]
  end
  return reply
end

-- detach: part consumer session leaving policy; leaving: `keep`, `release`, or the grace
function operations.detach()
  local p = partOf(arg())
  local consumer, session, leaving = arg(), arg(), arg()
  readPolicy()
  fireTimers()
  local h = consumerOf(p, consumer)
  -- A higher session is one that the server forgot: it ends what an earlier one of the consumer had.
  if not h or tonumber(session) < tonumber(h.session) then return { 'done' } end
  if session == h.session and not h.attached and leaving == 'keep' then return { 'done' } end
  if leaving ~= 'keep' then
    for _, j in ipairs(heldBy(p, consumer)) do
      if leaving == 'release' then
        ended(j.serial, RELEASE, j.token)
        release(p, j, false)
      else
        local at = now + tonumber(leaving)
        if at <= now then
          lapse(p, j)
        elseif at < j.expiresAt then
          j.expiresAt, j.capped = at, 0
          score(p.held, j.n, at)
          due(at)
          put(j)
        end
      end
    end
  end
  h.attached = false
  putConsumer(p, consumer, h)
  redis.call('ZREM', p.present, consumer)
  fireTimers()
  return { 'done' }
end

-- touch: part count, then the consumers
function operations.touch()
  local p = partOf(arg())
  local count = num()
  for _ = 1, count do
    local consumer = arg()
    local h = consumerOf(p, consumer)
    if h and isAttached(h) then
      h.touchedAt = now
      putConsumer(p, consumer, h)
      redis.call('ZADD', p.present, now, consumer)
    end
  end
  return { 'done' }
end
