-- What becomes of requests: kept under the job's id until nobody waits any more.

-- How long what became of a job is kept for those who wait for its end: they look for it every few seconds.
finished.AWAITED_MS = 60000

local function keepAnswer(j, code, reason, content)
  if j.dead == 1 then return end
  local awaitBy = finished.awaitedBy(j.n)
  if j.request ~= REQUEST and awaitBy == 0 then return end
  local replyBy = j.request == REQUEST and j.replyBy or 0
  if awaitBy > now then replyBy = math.max(replyBy, math.min(awaitBy, now + finished.AWAITED_MS)) end
  if awaitBy > 0 then redis.call('HDEL', finished.awaits, j.n) end
  local id = idOf(j)
  if replyBy > now then
    redis.call('HSET', ANSWERS, id, struct.pack('<dBB', replyBy, code, #reason) .. reason .. content)
    forgetAt(replyBy, 'r' .. id)
  end
  tell('R', id)
end
