-- Drafts as they come, packed by send.ts, with their children.

local CHILD, OPTIONS, CHILDREN = '<I4c0I4c0I4c0I4c0', '<BBdddBI4c0I4c0I4c0I4c0I4c0', '<BdI4'

-- A draft, as its options say; `jobs` and `bytes` are those of all its children.
function family.draftOf(text)
  local priority, kind, time, ttlMs, replyMs, reason, line, id, why, group, policy, behind = struct.unpack(OPTIONS, text)
  local d = {
    priority = priority, kind = kind, time = time, ttlMs = ttlMs, replyMs = replyMs, reason = reason,
    key = line, id = id, why = why, group = group ~= '' and group or nil, policy = policy ~= '' and policy or nil,
    jobs = 0, bytes = 0,
  }
  if behind > #text then return d end
  local fails, most, count
  fails, most, count, behind = struct.unpack(CHILDREN, text, behind)
  d.children = { fails = fails, most = most, count = count }
  for i = 1, count do
    local body, own, to, errand
    body, own, to, errand, behind = struct.unpack(CHILD, text, behind)
    if to ~= '' then
      d.children[i] = { body = body, to = to, errand = errand }
      d.elsewhere = true
    else
      local child = family.draftOf(own)
      child.body = body
      d.children[i] = child
      d.jobs, d.bytes = d.jobs + 1 + child.jobs, d.bytes + #body + child.bytes
      if child.elsewhere then d.elsewhere = true end
    end
  end
  return d
end

-- Drafts with their children behind them, depth first: each with its body, its place in the call where it is no child, and
-- else with where its parent stands and its place among the children. Those for other queues stand apart.
function family.unfold(drafts, bodyOf, first, count)
  local all = { drafts = {}, bodies = {}, places = {}, parents = {}, at = {}, elsewhere = {} }
  local function add(d, body, place, parent, at)
    local k = #all.drafts + 1
    all.drafts[k], all.bodies[k], all.places[k], all.parents[k], all.at[k] = d, body, place, parent, at
    for i, child in ipairs(d.children or {}) do
      if child.to then
        all.elsewhere[#all.elsewhere + 1] = { child = child, parent = k, at = i - 1 }
      else
        add(child, child.body, false, k, i - 1)
      end
    end
  end
  for i = first, count do
    if drafts[i] then add(drafts[i], bodyOf[i], i) end
  end
  return all
end
