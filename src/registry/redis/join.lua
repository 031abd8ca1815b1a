-- Notes a node for the time of a lease, in place of what the same incarnation noted before; changes nothing while another
-- incarnation has the key.
--
-- KEYS[1]  mcp:node:<tag>
-- ARGV[1]  the incarnation that joins
-- ARGV[2]  the lease in milliseconds
-- ARGV[3…] fields and values of the hash, in turns
-- Returns  nothing when it joined; else for how many milliseconds the key is held, and the fields and values of who does
local holder = redis.call("HGET", KEYS[1], "incarnation")
if holder and holder ~= ARGV[1] then
  return { redis.call("PTTL", KEYS[1]), redis.call("HGETALL", KEYS[1]) }
end
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], unpack(ARGV, 3))
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return {}
