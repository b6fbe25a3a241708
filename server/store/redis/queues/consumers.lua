-- The operations of holders: they come, show that they are there, and go.

local function handsOf(p, holder)
  flush()
  local names = redis.call('SMEMBERS', p.handsOf .. holder)
  fetch(names)
  local held = {}
  for _, n in ipairs(names) do
    local j = jobOf(n)
    if j and j.state == HELD and j.holder == holder then held[#held + 1] = j end
  end
  table.sort(held, function(a, b) return a.serial < b.serial end)
  return held
end

-- attach: part holder leaseMs since policy count, then the leases it knows of; count is -1 where it says nothing of them
function operations.attach()
  local p = partOf(arg())
  local holder, leaseMs, since = arg(), num(), arg()
  readPolicy()
  local count = num()
  local known = count >= 0 and {}
  for _ = 1, count do known[arg()] = true end
  local before = holderOf(p, holder)
  if since ~= '' and since ~= (before and before.session or '0') then return { 'error', 'began' } end
  if s.born == 0 then
    if not mayBeBorn then return 'birth' end
    s.born = 1
  end
  turn()
  local kept = {}
  for _, j in ipairs(handsOf(p, holder)) do
    if known and not known[j.n .. '.' .. whole(j.serial) .. '.' .. j.nonce] then
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
  local h = holderOf(p, holder)
  if not h then
    h = { lastSerial = -1, suspects = 0 }
    forgetAt(now + TOUCH_MS, 'h' .. (p.dead and 'd' or 'm') .. holder)
  end
  -- By the clock, so that a session is higher than one that the server forgot.
  s.session = math.max(microseconds(), s.session + 1)
  h.session, h.touchedAt, h.attached = whole(s.session), now, true
  putHolder(p, holder, h)
  redis.call('ZADD', p.present, now, holder)
  turn()
  tell('S', h.session, p.dead and '1' or '0', holder)
  local reply = { 'done', h.session }
  for _, n in ipairs(kept) do
    reply[#reply + 1] = n
    reply[#reply + 1] = records[n]
  end
  return reply
end

-- detach: part holder session leaving policy; leaving: `keep`, `release`, or the grace
function operations.detach()
  local p = partOf(arg())
  local holder, session, leaving = arg(), arg(), arg()
  readPolicy()
  turn()
  local h = holderOf(p, holder)
  -- A higher session is one that the server forgot: it ends what an earlier one of the holder had.
  if not h or tonumber(session) < tonumber(h.session) then return { 'done' } end
  if session == h.session and not h.attached then return { 'done' } end
  if leaving ~= 'keep' then
    for _, j in ipairs(handsOf(p, holder)) do
      if leaving == 'release' then
        ended(j.serial, RELEASE, j.nonce)
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
  putHolder(p, holder, h)
  redis.call('ZREM', p.present, holder)
  turn()
  return { 'done' }
end

-- touch: part count, then the holders
function operations.touch()
  local p = partOf(arg())
  local count = num()
  for _ = 1, count do
    local holder = arg()
    local h = holderOf(p, holder)
    if h and isAttached(h) then
      h.touchedAt = now
      putHolder(p, holder, h)
      redis.call('ZADD', p.present, now, holder)
    end
  end
  return { 'done' }
end
