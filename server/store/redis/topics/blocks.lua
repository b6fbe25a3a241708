-- The block: consecutive events of one step in one entry of a stream. Its id is `<offset of the first event>-<time>`. Its
-- fields are the bytes of all bodies before it and the events' records behind each other; of several events also how many
-- they are, and the length of each record.

-- A block is closed before it grows beyond this; a larger one holds a single event.
local MAX_BLOCK_EVENTS = 128
local MAX_BLOCK_BYTES = 16384

-- What retention counts of a body's record, see codec.ts: encryption adds nothing to it.
local SEALED, SEAL_BYTES = 3, 45
local function countedBytes(length, kind)
  return kind == SEALED and length - SEAL_BYTES or length
end

-- `first` and `last`: its offsets. `before`: the bytes before it.
local function blockOf(entry)
  local first, at = string.match(entry[1], '^(%d+)%-(%d+)$')
  local fields = entry[2]
  first = tonumber(first)
  local last = first + tonumber(fields[3] or 1) - 1
  return { first = first, at = tonumber(at), before = tonumber(fields[1]), last = last, entry = entry, sums = {}, start = 1 }
end

-- How many bytes of all bodies there are before a block's event with the index, from 0. No more lengths are looked at than
-- that takes, and each once.
local function bytesBefore(block, index)
  if index == 0 then return block.before end
  local sums, records, lengths = block.sums, block.entry[2][2], block.entry[2][4]
  local count, byte = #sums, string.byte
  if count < index then
    block.lengths = block.lengths or string.gmatch(lengths or whole(#records), '%d+')
    local sum, start = sums[count] or block.before, block.start
    for text in block.lengths do
      local length = tonumber(text)
      count, sum = count + 1, sum + countedBytes(length, byte(records, start))
      sums[count], start = sum, start + length
      if count == index then break end
    end
    block.start = start
  end
  return sums[index] or block.before
end

-- `records` and `lengths` are texts; of a single event there need be no lengths.
local function putBlock(stream, id, before, records, count, lengths)
  if count == 1 then
    redis.call('XADD', stream, id, before, records)
  else
    redis.call('XADD', stream, id, before, records, count, lengths)
  end
end
