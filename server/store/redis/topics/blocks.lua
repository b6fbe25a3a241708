-- The block: consecutive events of one step in one entry of a stream. Its id is `<offset of the first event>-<time>`. Its
-- fields are the bytes of all bodies before it and the events' records behind each other; of several events also how many
-- they are, and the length of each record.

-- A block is closed before it grows beyond this; a larger one holds a single event.
local MAX_BLOCK_EVENTS = 128
local MAX_BLOCK_BYTES = 32768

-- What retention counts of a body's record, see codec.ts: encryption adds nothing to it.
local SEALED, SEAL_BYTES = 3, 45
local function countedBytes(length, kind)
  return kind == SEALED and length - SEAL_BYTES or length
end

-- Of a block: its first offset, its time, the bytes before it, its last offset.
local function headerOf(entry)
  local first, at = string.match(entry[1], '^(%d+)%-(%d+)$')
  local fields = entry[2]
  first = tonumber(first)
  return first, tonumber(at), tonumber(fields[1]), first + tonumber(fields[3] or 1) - 1
end

-- How many bytes of all bodies there are behind each event of a block, in their order.
local function sumsOf(entry)
  local before, records, lengths = tonumber(entry[2][1]), entry[2][2], entry[2][4]
  if not lengths then return { before + countedBytes(#records, string.byte(records)) } end
  local sums, start = {}, 1
  for text in string.gmatch(lengths, '%d+') do
    local length = tonumber(text)
    before = before + countedBytes(length, string.byte(records, start))
    start = start + length
    sums[#sums + 1] = before
  end
  return sums
end

-- `records` and `lengths` are texts; of a single event there need be no lengths.
local function putBlock(stream, id, before, records, count, lengths)
  if count == 1 then
    redis.call('XADD', stream, id, before, records)
  else
    redis.call('XADD', stream, id, before, records, count, lengths)
  end
end
