-- Notes a session, unless an owner of this epoch or a later one has it, or it was closed and that is remembered.
-- Writing the same claim again, as after an answer that got lost, changes nothing else of the session; one that comes
-- late changes nothing at all. What an owner of an older epoch wrote goes: the one that claims writes all that it has.
--
-- KEYS[1]  mcp:session:{<id>}
-- KEYS[2]  …:closed
-- KEYS[3]  …:state
-- KEYS[4]  …:events
-- KEYS[5]  …:ledger
-- ARGV[1]  TTL in milliseconds
-- ARGV[2]  owner
-- ARGV[3]  incarnation
-- ARGV[4]  epoch
-- ARGV[5]  its number among the claims and writes of this owner in this epoch; empty for none
-- ARGV[6…] fields and values of the hash, in turns
-- Returns  1 when it was written or came late, 0 when it was closed; else owner, incarnation and epoch that are there
if redis.call("EXISTS", KEYS[1], KEYS[2]) > 0 then
  local have = redis.call("HMGET", KEYS[1], "owner", "incarnation", "epoch", "number")
  if not have[1] then
    return 0
  end
  local epoch, claimed = tonumber(have[3]), tonumber(ARGV[4])
  if epoch < claimed then
    redis.call("DEL", KEYS[1], KEYS[3], KEYS[4], KEYS[5])
  elseif epoch == claimed and have[1] == ARGV[2] and have[2] == ARGV[3] then
    if ARGV[5] ~= "" and tonumber(ARGV[5]) < tonumber(have[4] or 0) then
      return 1
    end
    -- Those that the record may lack.
    redis.call("HDEL", KEYS[1], "client", "peer", "issuer", "subject", "pinned", "format")
    redis.call("HDEL", KEYS[1], "initialize", "level", "subscriptions", "lists")
    redis.call("PEXPIRE", KEYS[3], ARGV[1])
    redis.call("PEXPIRE", KEYS[5], ARGV[1])
  else
    return { have[1], have[2], have[3] }
  end
end
redis.call("HSET", KEYS[1], unpack(ARGV, 6))
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return 1
