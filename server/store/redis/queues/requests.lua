-- What becomes of requests: kept under the job's id until nobody waits any more.

local function keepAnswer(j, code, reason, content)
  if j.request ~= REQUEST or j.dead == 1 then return end
  local id = idOf(j)
  if j.replyBy > now then
    redis.call('HSET', ANSWERS, id, struct.pack('<dBB', j.replyBy, code, #reason) .. reason .. content)
    forgetAt(j.replyBy, 'r' .. id)
  end
  tell('R', id)
end
