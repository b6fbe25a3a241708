-- What counts for a job: what it has by itself, as JSON in `policies`, else the policy of its queue. See jobPolicy.ts.

-- Beyond it, doubling is over any bound.
local MAX_DOUBLED = 50

local function ownOf(j)
  if not j.own then return {} end
  local isRead, has = pcall(cjson.decode, fieldOf(own.key, j.n) or '{}')
  return isRead and type(has) == 'table' and has or {}
end

function own.maxAttempts(j)
  return ownOf(j).maxAttempts or policy.maxAttempts
end

-- How long it waits after its last failure, which counts already.
function own.backoff(j)
  local backoff = ownOf(j).backoff
  if not backoff then return policy.backoff(j.attempts) end
  if backoff.kind == 'fixed' then return backoff.ms end
  if backoff.kind == 'list' then return backoff.ms[math.min(j.attempts, #backoff.ms)] or 0 end
  return math.min(backoff.maxMs, backoff.ms * 2 ^ math.min(j.attempts - 1, MAX_DOUBLED))
end

-- How long a run may take, by the number of a job that has something of the policy.
function own.runMs(n)
  return ownOf({ own = true, n = n }).runMs
end

-- Why a lease has lapsed at its cap, where the job has said that. Of a dead letter another run stands there.
function own.overrun(p, j)
  local runMs = ownOf(j).runMs
  return runMs and (p.dead or now - j.expAt >= runMs) and string.format('ran longer than its runMs of %s ms', whole(runMs)) or nil
end

-- `nil` where nothing is kept of it.
function own.keep(j)
  local keep = policy and policy.keep
  if not finished.keeps(keep) then return nil end
  local ageMs = ownOf(j).keepMs or keep.ageMs
  return ageMs > 0 and { count = keep.count, ageMs = ageMs, bytes = keep.bytes } or nil
end
