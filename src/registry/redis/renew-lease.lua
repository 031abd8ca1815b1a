-- Gives a node its full lease again, and creates nothing.
--
-- KEYS[1]  mcp:node:<tag>
-- ARGV[1]  the incarnation that renews
-- ARGV[2]  the lease in milliseconds
-- Returns  1 when it was renewed; else the fields and values of who has the key, none when nobody has
if redis.call("HGET", KEYS[1], "incarnation") == ARGV[1] then
  return redis.call("PEXPIRE", KEYS[1], ARGV[2])
end
return redis.call("HGETALL", KEYS[1])
