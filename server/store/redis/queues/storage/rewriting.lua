-- Operations that put other bytes in the places of bodies and texts, where those still stand there.

-- rewriteBody: number old new
function operations.rewriteBody()
  local n, old, new = arg(), arg(), arg()
  local j = jobOf(n)
  if not j then return { '0' } end
  local wasLarge = j.size > SMALL
  local body = j.body
  if wasLarge then body = redis.call('HGET', BODIES, n) end
  if body ~= old then return { '0' } end
  local p = j.dead == 1 and dead or live
  p.bytes = p.bytes + #new - j.size
  j.size = #new
  if j.size > SMALL then
    j.body = ''
    redis.call('HSET', BODIES, n, new)
  else
    j.body = new
    if wasLarge then redis.call('HDEL', BODIES, n) end
  end
  put(j)
  return { '1' }
end

-- lifeAt: number limit; the number of the first one that it answers, and the records
function operations.lifeAt()
  local number, limit = num(), num()
  local first = math.max(number, s.lifeFirst)
  local at = first - s.lifeFirst
  return { 'done', whole(first), unpack(redis.call('LRANGE', tag .. 'life', at, at + limit - 1)) }
end

-- rewriteLife: number old new
function operations.rewriteLife()
  local at, old, new = whole(num() - s.lifeFirst), arg(), arg()
  if tonumber(at) < 0 or redis.call('LINDEX', tag .. 'life', at) ~= old then return { '0' } end
  redis.call('LSET', tag .. 'life', at, new)
  s.lifeBytes = s.lifeBytes + #new - #old
  return { '1' }
end

-- rewriteText: hash field old new; the hash is `history`, `deaths`, `progress`, `finished`, `answers` or `scheduleBodies`
function operations.rewriteText()
  local key, name, old, new = tag .. arg(), arg(), arg(), arg()
  if fieldOf(key, name) ~= old then return { '0' } end
  redis.call('HSET', key, name, new)
  if key == finished.key then redis.call('HINCRBY', finished.sizes, string.byte(new), #new - #old) end
  -- What this call writes later is the same.
  if fields[key] and fields[key][name] then fields[key][name] = new end
  return { '1' }
end
