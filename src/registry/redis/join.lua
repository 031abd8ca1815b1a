-- Notes a node for a while, in place of what was noted of it before.
--
-- KEYS[1]  mcp:node:<tag>
-- ARGV[1]  TTL in milliseconds
-- ARGV[2…] fields and values of the hash, in turns
-- Returns  1
redis.call("DEL", KEYS[1])
redis.call("HSET", KEYS[1], unpack(ARGV, 2))
redis.call("PEXPIRE", KEYS[1], ARGV[1])
return 1
