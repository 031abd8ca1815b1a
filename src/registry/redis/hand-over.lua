-- Makes another node the owner of a session and gives all that is kept of it, if it is of the expected epoch still, and
-- kept in a format that the new owner reads.
--
-- KEYS[1]  mcp:session:{<id>}
-- KEYS[2]  …:state
-- KEYS[3]  …:events
-- KEYS[4]  …:ledger
-- ARGV[1]  the epoch that is expected
-- ARGV[2]  TTL in milliseconds
-- ARGV[3]  the new owner
-- ARGV[4]  its incarnation
-- ARGV[5]  where its peer link is; empty when it has none
-- ARGV[6]  the oldest format that it reads
-- ARGV[7]  the newest
-- Returns  hash, state, events, ledger when it was handed over, 0 when there is no such session, its format when that is
--          another; else owner, incarnation and epoch that are there
local have = redis.call("HMGET", KEYS[1], "owner", "incarnation", "epoch")
if not have[1] then
  return 0
end
if have[3] ~= ARGV[1] then
  return have
end
local format = tonumber(redis.call("HGET", KEYS[1], "format")) or 1
if format < tonumber(ARGV[6]) or format > tonumber(ARGV[7]) then
  return format
end
-- The new owner's numbers begin anew.
redis.call("HSET", KEYS[1], "owner", ARGV[3], "incarnation", ARGV[4], "epoch", ARGV[1] + 1, "number", 0)
if ARGV[5] == "" then
  redis.call("HDEL", KEYS[1], "peer")
else
  redis.call("HSET", KEYS[1], "peer", ARGV[5])
end
redis.call("PEXPIRE", KEYS[1], ARGV[2])
redis.call("PEXPIRE", KEYS[2], ARGV[2])
redis.call("PEXPIRE", KEYS[4], ARGV[2])
return {
  redis.call("HGETALL", KEYS[1]),
  redis.call("HGETALL", KEYS[2]),
  redis.call("LRANGE", KEYS[3], 0, -1),
  redis.call("HGETALL", KEYS[4]),
}
