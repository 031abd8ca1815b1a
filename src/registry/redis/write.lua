-- Writes what changed of a session, all or nothing, if it is still the one's who writes; renews the TTLs. Creates no
-- session.
--
-- KEYS[1]   mcp:session:{<id>}
-- KEYS[2]   …:state, a hash
-- KEYS[3]   …:events, a list, the oldest first; each begins with its time in milliseconds and a blank
-- KEYS[4]   …:ledger, a hash
-- ARGV[1]   owner
-- ARGV[2]   incarnation
-- ARGV[3]   epoch
-- ARGV[4]   TTL in milliseconds
-- ARGV[5]   how many values follow of state that is set: keys and values in turns
-- ARGV[6]   … of state that goes: keys
-- ARGV[7]   … of the session's own hash: fields and values in turns
-- ARGV[8]   … of calls that ended: fields of the ledger
-- ARGV[9]   … of calls that began: fields of the ledger and values in turns
-- ARGV[10]  … of events
-- ARGV[11]  the most events that are kept
-- ARGV[12]  the most bytes that they may have
-- ARGV[13]  the oldest time that they may have
-- ARGV[14]  after how many milliseconds without a new event all are too old
-- ARGV[15]  its number among the claims and writes of this owner in this epoch, which is in the session's own hash; empty
--           for none
-- ARGV[16…] the values, in this order
-- Returns   1 when it was written, 0 when there is no such session, 2 when one with a higher number was written before
--           it; else owner, incarnation and epoch that are there
local have = redis.call("HMGET", KEYS[1], "owner", "incarnation", "epoch", "number")
if not have[1] then
  return 0
end
if have[1] ~= ARGV[1] or have[2] ~= ARGV[2] or have[3] ~= ARGV[3] then
  return { have[1], have[2], have[3] }
end
if ARGV[15] ~= "" and tonumber(ARGV[15]) < tonumber(have[4] or 0) then
  return 2
end

local position = 16

-- Takes so many of the values for a command. In parts, because Lua hands over some thousand at once and no more.
local function run(command, key, values)
  local last = position + tonumber(values) - 1
  while position <= last do
    local stop = math.min(position + 999, last)
    redis.call(command, key, unpack(ARGV, position, stop))
    position = stop + 1
  end
end

run("HSET", KEYS[2], ARGV[5])
run("HDEL", KEYS[2], ARGV[6])
run("HSET", KEYS[1], ARGV[7])
run("HDEL", KEYS[4], ARGV[8])
run("HSET", KEYS[4], ARGV[9])

if ARGV[10] ~= "0" then
  local bytes = 0
  -- The log may have come to its end by itself since its bytes were noted.
  local count = redis.call("LLEN", KEYS[3])
  if count > 0 then
    bytes = tonumber(redis.call("HGET", KEYS[1], "logBytes")) or 0
  end
  count = count + tonumber(ARGV[10])
  for i = position, #ARGV do
    bytes = bytes + #ARGV[i]
  end
  run("RPUSH", KEYS[3], ARGV[10])

  local mostEvents, mostBytes, oldest = tonumber(ARGV[11]), tonumber(ARGV[12]), tonumber(ARGV[13])
  while count > 0 do
    if count <= mostEvents and bytes <= mostBytes then
      local first = redis.call("LINDEX", KEYS[3], 0)
      if tonumber(string.match(first, "^%S+")) >= oldest then
        break
      end
    end
    bytes = bytes - #redis.call("LPOP", KEYS[3])
    count = count - 1
  end
  redis.call("HSET", KEYS[1], "logBytes", bytes)
  redis.call("PEXPIRE", KEYS[3], ARGV[14])
end

redis.call("PEXPIRE", KEYS[1], ARGV[4])
redis.call("PEXPIRE", KEYS[2], ARGV[4])
redis.call("PEXPIRE", KEYS[4], ARGV[4])
return 1
